#include "heapscan/report/sites.h"

#include <fmt/format.h>

#include <algorithm>

#include "heapscan/base/text.h"
#include "heapscan/report/names.h"
#include "heapscan/sites/code_listing.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

namespace {

constexpr size_t kLongestSiteFunction = 60;
constexpr size_t kMostSiteFacts = 4;
constexpr size_t kListedBefore = 6;  // instructions
constexpr size_t kListedAfter = 16;

// "&idle_list", "vtable for Conn", "&libfoo.so+0x40".
std::string spelled_address(const Analysis& analysis, Addr at) {
  const std::string name = name_of_place(analysis, at);
  return name.starts_with("vtable for ") ? name : "&" + name;
}

// "struct session *", "pointer to characters".
std::string spelled_result_type(const Analysis& analysis, const SiteResult& result) {
  const bool is_of_pointers = result.pointee == TypeKind::Pointer;
  if (result.record.valid())
    return analysis.types.spelled(result.record) + (is_of_pointers ? " **" : " *");
  if (is_of_pointers) return "pointer to pointers";
  if (result.pointee == TypeKind::Character) return "pointer to characters";
  return result.pointee == TypeKind::Array ? "pointer to an array" : "pointer to numbers";
}

// "assigns them to session, a struct session *".
std::string spelled_result(const Analysis& analysis, CallSiteId site) {
  const SiteResult& result = analysis.call_sites.results[site];
  const std::string type = escaped(spelled_result_type(analysis, result));
  if (result.name.empty()) return fmt::format("returns them as a {}", type);
  return fmt::format("assigns them to {}, a {}", escaped(result.name), type);
}

std::string spelled_fact(const Analysis& analysis, const SiteFact& fact, CallSiteId id) {
  const CallSite& site = analysis.call_sites.rows[id];
  switch (fact.kind) {
    case SiteFact::Kind::Size:
      if (site.bytes.kind == RequestedBytes::Kind::Constant) {
        std::string sizes;
        for (const uint64_t size : site.bytes.constants) {
          sizes += fmt::format("{}{}", sizes.empty() ? "" : " or ", grouped(size));
        }
        return fmt::format("asks for {} bytes", sizes);
      }
      if (site.bytes.kind == RequestedBytes::Kind::Linear && site.bytes.step > 1) {
        return site.bytes.base == 0
                   ? fmt::format("asks for n × {} bytes", grouped(site.bytes.step))
                   : fmt::format("asks for {} + n × {} bytes", grouped(site.bytes.base),
                                 grouped(site.bytes.step));
      }
      return {};
    case SiteFact::Kind::Field: {
      const bool is_address = analysis.image.module_at(Addr(fact.value)) != nullptr;
      return fmt::format("sets +{:#x} to {} ({} of {})", fact.offset,
                         is_address ? spelled_address(analysis, Addr(fact.value))
                                    : fmt::format("{:#x}", fact.value),
                         grouped(fact.agreeing), counted(fact.samples, "sample"));
    }
    case SiteFact::Kind::OwnAddress:
      return fmt::format("sets +{:#x} to the block's own address ({} of {})", fact.offset,
                         grouped(fact.agreeing), counted(fact.samples, "sample"));
    case SiteFact::Kind::OnStack:
      return "its return address lies in a stack";
    case SiteFact::Kind::Named:
      return "its function is named like them";
    case SiteFact::Kind::Near:
      return "it lies near the code that belongs to them";
    case SiteFact::Kind::Written:
    case SiteFact::Kind::Elements:
    case SiteFact::Kind::Operator:
      return {};
    case SiteFact::Kind::Assigned:
      return spelled_result(analysis, id);
    case SiteFact::Kind::Linked:
      return fmt::format("stores them at +{:#x} of what holds them", fact.offset);
    case SiteFact::Kind::Text:
      return "makes strings";
    case SiteFact::Kind::Length:
      return fmt::format("asks for as many bytes as the string has ({} of {})",
                         grouped(fact.agreeing), counted(fact.samples, "sample"));
    case SiteFact::Kind::Called:
      return fmt::format("is called from {}", counted(fact.value, "place"));
    case SiteFact::Kind::Mentions:
      return fmt::format("names {}, which the blocks hold at +{:#x}",
                         spelled_address(analysis, Addr(fact.value)), fact.offset);
  }
  return {};
}

std::string name_of_function(const Analysis& analysis, const AllocatorFunction& allocator) {
  if (!allocator.name.empty()) return escaped(name_of_symbol(allocator.name));
  return name_of_place(analysis, allocator.function);
}

// The allocator, and those it passes the request on to.
std::string spelled_chain(const Analysis& analysis, const CallSite& site) {
  std::string chain;
  for (const AllocatorFunction* const allocator : analysis.call_sites.chain_of(site))
    chain += (chain.empty() ? "" : " -> ") + name_of_function(analysis, *allocator);
  return chain;
}

SiteRow row_of(const Analysis& analysis, const CallSite& site) {
  SiteRow row;
  if (site.module.valid()) {
    const Module& module = analysis.image.modules()[site.module];
    row.module = escaped(module.file_name());
    row.call_address = Addr(module.in_file(site.call).value);
  } else {
    row.call_address = site.call;
  }
  if (const auto symbol = analysis.symbols.ref_at(site.call)) {
    row.function = escaped(name_of_symbol(symbol->name));
    row.offset = symbol->offset;
  } else {
    row.offset = row.call_address.value;
  }
  if (const SourceLine* line = analysis.line_of(site.call)) {
    row.source = spelled_line(*line);
  }
  row.callee = spelled_chain(analysis, site);
  return row;
}

SiteRow row_of(const Analysis& analysis, const SiteMatch& match) {
  const CallSite& site = analysis.call_sites.rows[match.site];
  SiteRow row = row_of(analysis, site);
  row.probability = match.probability;
  for (const SiteFact& fact : match.facts) {
    if (row.facts.size() >= kMostSiteFacts) break;
    if (fact.weight < 0) continue;
    std::string words = spelled_fact(analysis, fact, match.site);
    if (!words.empty()) row.facts.push_back(std::move(words));
  }
  return row;
}

// What an instruction says of the blocks: the call what it calls and how much that asks for, a store
// which field it sets. Of other calls, whom they call.
std::string fact_of_instruction(const Analysis& analysis, const SiteMatch& match,
                                const CallSite& site, const ListedInstruction& insn) {
  std::string fact;
  if (insn.at == site.call) {
    fact = spelled_chain(analysis, site);
  } else if (insn.text.starts_with("call") && !insn.target.is_null()) {
    fact = name_of_place(analysis, insn.target);
  }
  for (const SiteFact& each : match.facts) {
    const bool is_of_call = each.kind == SiteFact::Kind::Size && insn.at == site.call;
    const bool is_of_store =
        (each.kind == SiteFact::Kind::Field || each.kind == SiteFact::Kind::OwnAddress) &&
        std::any_of(site.fields.begin(), site.fields.end(), [&](const StoredField& field) {
          return field.at == insn.at && field.offset == each.offset;
        });
    if (!is_of_call && !is_of_store) continue;
    const std::string words = spelled_fact(analysis, each, match.site);
    if (!words.empty()) fact += (fact.empty() ? "" : ", ") + words;
  }
  return fact;
}

std::vector<CodeRow> code_around(const Analysis& analysis, const SiteMatch& match) {
  const CallSite& site = analysis.call_sites.rows[match.site];
  const auto function = analysis.symbols.ref_at(site.call);
  std::vector<CodeRow> rows;
  for (const ListedInstruction& insn :
       list_code_around(analysis.image, site, kListedBefore, kListedAfter)) {
    const auto within = analysis.symbols.ref_at(insn.at);
    if (function && within && within->name != function->name) continue;
    rows.push_back({name_of_place(analysis, insn.at), escaped(insn.text),
                    fact_of_instruction(analysis, match, site, insn)});
  }
  return rows;
}

}  // namespace

std::string SiteRow::place() const {
  std::string text =
      function.empty() ? fmt::format("{}+{:#x}", module, offset)
                       : fmt::format("{}+{:#x}", shortened(function, kLongestSiteFunction), offset);
  if (!source.empty()) text += " (" + source + ")";
  return text;
}

GroupSites sites_of(const Analysis& analysis, ClusterId cluster, bool with_code) {
  GroupSites sites;
  if (analysis.site_matches.size() <= cluster.index()) return sites;
  const ClusterSites& matches = analysis.site_matches[cluster];
  sites.candidates = matches.candidates;
  sites.is_answered = matches.is_answered();
  for (const SiteMatch& match : matches.best) sites.rows.push_back(row_of(analysis, match));
  for (const SiteShare& share : matches.shares)
    sites.shared.push_back(
        {row_of(analysis, analysis.call_sites.rows[share.site]), share.claimed, share.samples});
  if (with_code && sites.is_answered)
    sites.rows.front().code = code_around(analysis, matches.best.front());
  return sites;
}

std::optional<SiteRow> answered_site(const Analysis& analysis, ClusterId cluster) {
  GroupSites sites = sites_of(analysis, cluster, false);
  if (!sites.is_answered) return std::nullopt;
  return std::move(sites.rows.front());
}

std::string spelled_site(const SiteRow& site) {
  return fmt::format("{}, {}", site.place(), spelled_probability(site.probability));
}

const char* spelled_probability(double probability) {
  if (probability >= 0.95) return "almost certainly";
  if (probability >= 0.8) return "very likely";
  return probability >= 0.65 ? "likely" : "perhaps";
}

}  // namespace heapscan

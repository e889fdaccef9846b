#include "report/text_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/identify/field_meaning.h"

namespace heapscan {

namespace {

constexpr size_t kLongestGroupLabel = 64;
constexpr size_t kLongestTarget = 48;
constexpr size_t kLongestFacts = 120;
constexpr size_t kSharedSites = 4;
constexpr size_t kUsualInstruction = 40;  // columns
constexpr const char* kIndent = "      ";

std::string spelled(const GroupPointer& pointer, bool verbose) {
  const bool is_object =
      pointer.kind == name_of(Meaning::Object) && !pointer.symbol.starts_with("vtable for ");
  const std::string target = verbose ? pointer.symbol : shortened(pointer.symbol, kLongestTarget);
  std::string text = fmt::format("+{:#x} -> {}{}", pointer.offset, is_object ? "&" : "", target);
  if (pointer.share < 0.995) text += fmt::format(" ({:.0f} %)", 100 * pointer.share);
  return text;
}

// The kinds of evidence whose detail is nothing but what the line of strings and pointers says.
bool is_plain_to_see(const IdentityRow& row) {
  return row.kind == name_of(EvidenceKind::Vtable) || row.kind == name_of(EvidenceKind::Symbol) ||
         row.kind == name_of(EvidenceKind::Content);
}

std::string spelled(const IdentityRow& row, bool verbose) {
  std::string text = row.kind == name_of(EvidenceKind::Library) ? "recognised by: " : "";
  text += verbose ? row.detail : shortened(row.detail, kLongestFacts);
  if (row.samples > 0)
    text += fmt::format(" ({} of {})", grouped(row.agreeing), counted(row.samples, "sample"));
  return text;
}

// As a list of sizes with no numbers of blocks.
std::vector<std::pair<uint64_t, uint64_t>> sizes_of_kind(std::pair<uint64_t, uint64_t> sizes) {
  if (sizes.first == sizes.second) return {{sizes.first, 0}};
  return {{sizes.first, 0}, {sizes.second, 0}};
}

// "new", "grown by 52.8 KiB in 200 blocks": since the baseline.
std::string spelled(const SinceBaseline& since) {
  if (since.state != SinceBaseline::State::Grown) return name_of(since.state);
  return fmt::format("grown by {} in {}", human_bytes(since.more.bytes),
                     counted(since.more.blocks, "block"));
}

}  // namespace

void GroupWriter::write(std::span<const LeakGroup> groups, size_t shown, size_t detailed) {
  for (size_t i = 0; i < shown; ++i) {
    write_headline(groups[i]);
    if (options_.verbose || i < detailed) write_detail(groups[i]);
  }
}

void GroupWriter::write_headline(const LeakGroup& group) {
  const bool more_below = group.kind_total.blocks > group.blocks;
  const uint64_t blocks = more_below ? group.kind_total.blocks : group.blocks;
  const std::string sizes =
      spelled_sizes(more_below ? sizes_of_kind(group.kind_sizes) : group.sizes);
  std::string line =
      fmt::format("  #{:<3}{:>10}  {:>14}   {}", ++number_,
                  human_bytes(more_below ? group.kind_total.bytes : group.bytes),
                  fmt::format("{} × {}", grouped(blocks), sizes),
                  options_.verbose ? group.label : shortened(group.label, kLongestGroupLabel));
  if (group.verdict == Verdict::Indirect) line += "   (indirect)";
  if (more_below) line += fmt::format("   ({} definite)", grouped(group.blocks));
  const uint64_t others = group.indirect.blocks - group.indirect_alike.blocks;
  if (others > 0) {
    line += fmt::format("   + {} in {} reachable only through {}",
                        human_bytes(group.indirect.bytes - group.indirect_alike.bytes),
                        counted(others, more_below ? "other block" : "block"),
                        blocks == 1 ? "it" : "them");
  }
  if (group.since) line += "   " + spelled(*group.since);
  out_ << line << '\n';
}

void GroupWriter::write_detail(const LeakGroup& group) {
  write_sites(group);
  write_facts(group);
  write_identity(group);
  write_below(group);
  write_bytes(group);
  const size_t sentences = group.verdict == Verdict::Possible ? 2 : 1;
  for (size_t i = 0; i < group.reasons.size() && (options_.verbose || i < sentences); ++i) {
    out_ << kIndent << group.reasons[i] << '\n';
  }
  out_ << kIndent << style_.dim(cluster_command(options_, group.id)) << '\n';
}

void GroupWriter::write_sites(const LeakGroup& group) {
  const GroupSites& sites = group.sites;
  if (sites.is_answered) {
    out_ << fmt::format("{}allocated by {}\n", kIndent, spelled_site(sites.rows[0]));
  } else if (!sites.shared.empty()) {
    write_shared_sites(sites);
  } else if (options_.verbose && sites.candidates > 0) {
    out_ << fmt::format("{}allocated by: no idea, {} would do\n", kIndent,
                        counted(sites.candidates, "call site"));
  }
  if (!options_.verbose) return;
  for (const SiteRow& row : sites.rows) {
    out_ << fmt::format("{}  {:>3.0f} %  {} through {}", kIndent, 100 * row.probability,
                        row.place(), row.callee);
    for (size_t i = 0; i < row.facts.size(); ++i) out_ << (i == 0 ? ": " : "; ") << row.facts[i];
    out_ << '\n';
    write_code(row);
  }
}

void GroupWriter::write_shared_sites(const GroupSites& sites) {
  out_ << fmt::format("{}allocated by {}, which store different constants:\n", kIndent,
                      counted(sites.shared.size(), "call"));
  const size_t shown = options_.verbose ? sites.shared.size() : kSharedSites;
  for (size_t i = 0; i < sites.shared.size() && i < shown; ++i) {
    const SharedSite& share = sites.shared[i];
    out_ << fmt::format("{}  {} ({} of {} samples)\n", kIndent, share.site.place(), share.claimed,
                        share.samples);
  }
  if (sites.shared.size() > shown)
    out_ << fmt::format("{}  and {} more\n", kIndent, sites.shared.size() - shown);
}

void GroupWriter::write_code(const SiteRow& row) {
  size_t longest = 0;
  for (const CodeRow& line : row.code) longest = std::max(longest, line.place.size());
  for (const CodeRow& line : row.code) {
    out_ << kIndent << fmt::format("    {:<{}}  ", line.place, longest);
    out_ << (line.fact.empty()
                 ? line.text
                 : fmt::format("{:<{}}  <- {}", line.text, kUsualInstruction, line.fact))
         << '\n';
  }
}

void GroupWriter::write_facts(const LeakGroup& group) {
  // What the blocks hold and point at stands on one line, text behind their pointers on the next.
  std::vector<std::string> facts = group.strings;
  for (const GroupPointer& pointer : group.pointers) {
    facts.push_back(spelled(pointer, options_.verbose));
  }
  for (const std::vector<std::string>& row : {facts, group.strings_behind}) {
    std::string line;
    for (const std::string& fact : row) {
      if (!options_.verbose && !line.empty() && line.size() + fact.size() > kLongestFacts) {
        line += "; ...";
        break;
      }
      line += (line.empty() ? "" : "; ") + fact;
    }
    if (!line.empty()) out_ << kIndent << line << '\n';
  }
}

void GroupWriter::write_identity(const LeakGroup& group) {
  for (const IdentityRow& row : group.identity) {
    if (row.detail.empty() || row.label.empty()) continue;
    if (options_.verbose) {
      out_ << fmt::format("{}{} by {}: {}\n", kIndent, row.label, row.kind, spelled(row, true));
      continue;
    }
    if (!is_plain_to_see(row)) out_ << kIndent << spelled(row, false) << '\n';
    break;
  }
}

void GroupWriter::write_below(const LeakGroup& group) {
  if (!group.below_line.empty()) out_ << kIndent << group.below_line << '\n';
  std::string parents;
  for (const std::string& parent : group.child_of) {
    parents += parents.empty() ? "" : ", ";
    parents += options_.verbose ? parent : shortened(parent, kLongestGroupLabel);
  }
  if (!parents.empty()) out_ << kIndent << "child of " << parents << '\n';
}

// Bytes only where nothing better is known.
void GroupWriter::write_bytes(const LeakGroup& group) {
  if (group.content_hex.empty()) return;
  if (!options_.verbose &&
      !(group.strings.empty() && group.strings_behind.empty() && group.pointers.empty()))
    return;
  std::string bytes;
  for (size_t at = 0; at < group.content_hex.size(); at += 16)
    bytes += ' ' + group.content_hex.substr(at, 16);
  out_ << fmt::format("{}at {}:{}\n", kIndent, hex(group.example), bytes);
  if (options_.verbose) out_ << fmt::format("{}as text: {}\n", kIndent, group.content_text);
}

}  // namespace heapscan

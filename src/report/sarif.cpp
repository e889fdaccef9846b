#include <fmt/format.h>

#include <charconv>
#include <ostream>
#include <string_view>

#include "heapscan/base/text.h"
#include "heapscan/report/gate.h"
#include "heapscan/report/report.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

Json rules_json() {
  return {
      {{"id", "definite-leak"},
       {"name", "DefiniteLeak"},
       {"shortDescription", {{"text", "Memory that no chain of pointers leads to any more"}}},
       {"defaultConfiguration", {{"level", "error"}}}},
      {{"id", "possible-leak"},
       {"name", "PossibleLeak"},
       {"shortDescription", {{"text", "Memory that only interior or ambiguous pointers refer to"}}},
       {"defaultConfiguration", {{"level", "warning"}}}}};
}

// A path as part of a URI.
std::string uri_of(std::string_view path) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-._~+";
  std::string out;
  for (const char c : path) {
    out += kPlain.find(c) != std::string_view::npos
               ? std::string(1, c)
               : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out.empty() ? "unknown" : out;
}

// Of "session.c:88"; nothing when it does not end so.
std::optional<std::pair<std::string, uint64_t>> file_and_line(const std::string& source) {
  const size_t colon = source.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  uint64_t line = 0;
  const char* const end = source.data() + source.size();
  const auto [stop, error] = std::from_chars(source.data() + colon + 1, end, line);
  if (error != std::errc() || stop != end || line == 0) return std::nullopt;
  return std::pair(source.substr(0, colon), line);
}

// The line that allocates the blocks, or else the program: readers want a place.
Json location_json(const Report& report, const LeakGroup& group) {
  Json physical = {{"artifactLocation",
                    {{"uri", (report.target.executable.starts_with('/') ? "file://" : "") +
                                 uri_of(report.target.executable)}}}};
  Json location = Json::object();
  if (group.sites.is_answered) {
    const SiteRow& site = group.sites.rows[0];
    if (const auto line = file_and_line(site.source)) {
      physical = {{"artifactLocation", {{"uri", uri_of(line->first)}}},
                  {"region", {{"startLine", line->second}}}};
    }
    location["logicalLocations"] =
        Json::array({{{"fullyQualifiedName", site.function.empty() ? site.place() : site.function},
                      {"kind", "function"}}});
  }
  location["physicalLocation"] = std::move(physical);
  return location;
}

const char* baseline_state(SinceBaseline::State state) {
  switch (state) {
    case SinceBaseline::State::New:
      return "new";
    case SinceBaseline::State::Grown:
      return "updated";
    case SinceBaseline::State::Known:
      break;
  }
  return "unchanged";
}

Json result_json(const Report& report, const LeakGroup& group) {
  const bool is_possible = group.verdict == Verdict::Possible;
  Json result = {{"ruleId", is_possible ? "possible-leak" : "definite-leak"},
                 {"ruleIndex", is_possible ? 1 : 0},
                 {"level", is_possible                        ? "warning"
                           : counts_as_failure(report, group) ? "error"
                                                              : "note"},
                 {"message", {{"text", sentence_on(group)}}},
                 {"locations", Json::array({location_json(report, group)})},
                 {"partialFingerprints", {{"heapscanGroup/v1", group.id}}},
                 {"properties",
                  {{"blocks", group.blocks},
                   {"bytes", group.bytes},
                   {"indirectBytes", group.indirect.bytes},
                   {"label", group.label},
                   {"evidence", group.reasons}}}};
  if (group.since) result["baselineState"] = baseline_state(group.since->state);
  return result;
}

}  // namespace

void render_sarif(const Report& report, std::ostream& out) {
  Json results = Json::array();
  for (const LeakGroup& group : report.leaks) {
    if (group.verdict == Verdict::Definite || group.verdict == Verdict::Possible)
      results.push_back(result_json(report, group));
  }
  const Json document = {
      {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
      {"version", "2.1.0"},
      {"runs",
       Json::array({{{"tool", {{"driver", {{"name", "heapscan"}, {"rules", rules_json()}}}}},
                     {"results", std::move(results)}}})}};
  out << document.dump(1, ' ', true, Json::error_handler_t::replace) << '\n';
}

}  // namespace heapscan

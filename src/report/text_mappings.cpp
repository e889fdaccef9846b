#include "report/text_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <string_view>
#include <tuple>

#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kBriefMappingGroups = 3;
constexpr size_t kShortestCommonHex = 16;  // eight bytes that are the same say something

struct MappingGroup {
  const MappingRow* first = nullptr;
  uint64_t mappings = 0;
  uint64_t bytes = 0;
  std::optional<uint64_t> resident_bytes;
  size_t common_hex = 0;  // digits of the content that all have
};

size_t common_length(std::string_view a, std::string_view b) {
  const auto end = std::mismatch(
      a.begin(), a.begin() + static_cast<ptrdiff_t>(std::min(a.size(), b.size())), b.begin());
  return static_cast<size_t>(end.first - a.begin());
}

// In the order of their first rows, that is by size.
std::vector<MappingGroup> group_mappings(const std::vector<MappingRow>& rows) {
  std::vector<MappingGroup> groups;
  std::map<std::tuple<uint64_t, Verdict, std::string_view>, size_t> index;
  for (const MappingRow& row : rows) {
    const auto [at, is_new] = index.try_emplace({row.size, row.verdict, row.kind}, groups.size());
    if (is_new) groups.push_back({&row, 0, 0, std::nullopt, row.content_hex.size()});
    MappingGroup& group = groups[at->second];
    ++group.mappings;
    group.bytes += row.size;
    if (row.resident_bytes)
      group.resident_bytes = group.resident_bytes.value_or(0) + *row.resident_bytes;
    group.common_hex = std::min(group.common_hex,
                                common_length(group.first->content_hex, row.content_hex) / 2 * 2);
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const MappingGroup& a, const MappingGroup& b) { return a.bytes > b.bytes; });
  return groups;
}

std::string spelled_hex(std::string_view digits) {
  std::string text;
  for (size_t at = 0; at < digits.size(); at += 16)
    text += ' ' + std::string(digits.substr(at, 16));
  return text;
}

// Without the zeros at the end of a text, which is escaped.
std::string_view without_zeros(std::string_view text) {
  constexpr std::string_view kZero = "\\x00";
  while (text.ends_with(kZero)) text.remove_suffix(kZero.size());
  return text;
}

// What they begin with; nothing of memory that begins with zeros.
std::string spelled_content(const MappingGroup& group) {
  const std::string_view all = group.first->content_hex;
  if (all.find_first_not_of('0') == std::string_view::npos) return "";
  const bool is_common = group.mappings > 1 && group.common_hex >= kShortestCommonHex;
  const std::string_view digits = is_common ? all.substr(0, group.common_hex) : all;
  const std::string whose =
      is_common ? "all begin with" : fmt::format("at {}:", hex(group.first->address));
  std::string text = whose + spelled_hex(digits);
  if (!is_common || digits.size() == all.size())
    text += fmt::format("  \"{}\"", without_zeros(group.first->content_text));
  return text;
}

}  // namespace

void write_mapping_rows(const Report& report, std::ostream& out) {
  const std::vector<MappingGroup> groups = group_mappings(report.mappings);
  const size_t shown =
      report.options.verbose ? groups.size() : std::min(groups.size(), kBriefMappingGroups);
  uint64_t left_out = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    const MappingGroup& group = groups[i];
    if (i >= shown) {
      left_out += group.mappings;
      continue;
    }
    const MappingRow& first = *group.first;
    const std::string resident =
        group.resident_bytes ? fmt::format(" ({} resident)", human_bytes(*group.resident_bytes))
                             : "";
    const std::string name = group.mappings == 1 ? hex(first.address)
                                                 : fmt::format("{} × {}", grouped(group.mappings),
                                                               human_bytes(first.size));
    std::string reason = first.reason;
    if (group.mappings > 1) reason += "; so are the others";
    if (!first.kind.empty())
      reason = fmt::format("{}: {}; other processes may still use the memory", first.kind, reason);
    out << fmt::format("  {:<15} {:>10}{}  {:<9} {}\n", name, human_bytes(group.bytes), resident,
                       name_of(first.verdict), reason);
    const std::string content = spelled_content(group);
    if (!content.empty()) out << fmt::format("      {}\n", content);
  }
  if (left_out > 0) {
    out << fmt::format("  {}, show with: {}\n", counted(left_out, "more mapping"),
                       with_options(report.options.command, " -v"));
  }
}

void write_areas(const Report& report, std::ostream& out) {
  if (report.areas.empty()) return;
  uint64_t parts = 0;
  uint64_t bytes = 0;
  for (const AreaRow& area : report.areas) {
    parts += area.unnamed.size();
    bytes += area.unnamed_bytes;
  }
  out << fmt::format("areas       {} of {} in mappings that touch, possibly leaked\n",
                     counted(parts, "part"), human_bytes(bytes));
  const size_t shown = report.options.verbose ? report.areas.size()
                                              : std::min(report.areas.size(), kBriefMappingGroups);
  for (size_t i = 0; i < shown; ++i) {
    const AreaRow& area = report.areas[i];
    out << fmt::format("  {} area {}, named at {}, period {}: nothing names {} of {}, such as {}\n",
                       human_bytes(area.size), hex(area.address), counted(area.places, "place"),
                       human_bytes(area.period), grouped(area.unnamed.size()),
                       counted(area.parts, "part"), hex(area.unnamed.front()));
  }
  if (shown < report.areas.size()) {
    out << fmt::format("  {}, show with: {}\n", counted(report.areas.size() - shown, "more area"),
                       with_options(report.options.command, " -v"));
  }
}

}  // namespace heapscan

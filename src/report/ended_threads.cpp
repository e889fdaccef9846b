#include "heapscan/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/image/intervals.h"
#include "heapscan/report/names.h"
#include "heapscan/symbols/symbols.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

constexpr size_t kBriefFunctions = 3;
constexpr size_t kLongestFunction = 70;

std::string name_of_function(const Analysis& analysis, Addr start) {
  if (start.is_null()) return "";
  const SourceLine* const line = analysis.line_of(start);
  return name_of_place(analysis, start) +
         (line == nullptr ? "" : fmt::format(" ({})", spelled_line(*line)));
}

// The first thread is nobody's to join, and its stack is the kernel's.
bool is_first_thread(const ThreadArea& area) {
  return area.start.is_null() && area.mapping_bytes == 0;
}

// What glibc mapped for it.
AddrRange stack_mapping(const ThreadArea& area) {
  if (area.mapping_bytes == 0 || area.stack.empty()) return {};
  const uint64_t bytes = std::min(area.mapping_bytes, area.stack.end().value);
  return AddrRange(area.stack.end() - bytes, area.stack.end());
}

}  // namespace

std::vector<EndedThreadsRow> describe_ended_threads(const Analysis& analysis) {
  const auto& residency = analysis.image.residency();
  std::map<Addr, EndedThreadsRow> by_start;
  for (const ThreadArea& area : analysis.runtime.threads) {
    if (area.fate != ThreadArea::Fate::Exited || area.descriptor.is_null()) continue;
    if (is_first_thread(area)) continue;
    EndedThreadsRow& row = by_start[area.start];
    row.start = area.start;
    ++row.threads;
    row.stack_bytes += area.mapping_bytes;
    if (residency) {
      row.resident_bytes =
          row.resident_bytes.value_or(0) + common_bytes(residency->resident, stack_mapping(area));
    }
  }
  std::vector<EndedThreadsRow> rows;
  for (auto& [start, row] : by_start) {
    row.function = name_of_function(analysis, start);
    rows.push_back(std::move(row));
  }
  std::stable_sort(
      rows.begin(), rows.end(),
      [](const EndedThreadsRow& a, const EndedThreadsRow& b) { return a.threads > b.threads; });
  return rows;
}

EndedThreadsRow sum_of(const std::vector<EndedThreadsRow>& rows) {
  EndedThreadsRow sum;
  for (const EndedThreadsRow& row : rows) {
    sum.threads += row.threads;
    sum.stack_bytes += row.stack_bytes;
    if (row.resident_bytes)
      sum.resident_bytes = sum.resident_bytes.value_or(0) + *row.resident_bytes;
  }
  return sum;
}

std::string spelled_stacks(const EndedThreadsRow& row) {
  std::string text = human_bytes(row.stack_bytes) + " of stacks";
  if (row.resident_bytes) text += fmt::format(" ({} resident)", human_bytes(*row.resident_bytes));
  return text;
}

void write_ended_threads(const std::vector<EndedThreadsRow>& rows, bool all, std::ostream& out) {
  if (rows.empty()) return;
  const EndedThreadsRow sum = sum_of(rows);
  out << fmt::format("threads     {} {} never joined; {}\n", counted(sum.threads, "ended thread"),
                     sum.threads == 1 ? "was" : "were", spelled_stacks(sum));
  const size_t shown = all ? rows.size() : std::min(rows.size(), kBriefFunctions);
  for (size_t i = 0; i < shown; ++i) {
    out << fmt::format("  {} × {}\n", grouped(rows[i].threads),
                       rows[i].function.empty() ? "unknown function"
                                                : shortened(rows[i].function, kLongestFunction));
  }
  if (shown < rows.size())
    out << fmt::format("  {}, show with -v\n", counted(rows.size() - shown, "more function"));
}

Json json_of(const std::vector<EndedThreadsRow>& rows) {
  Json json = Json::array();
  for (const EndedThreadsRow& row : rows) {
    json.push_back({{"function", or_null(row.function)},
                    {"address", row.start.is_null() ? Json(nullptr) : Json(hex(row.start))},
                    {"threads", row.threads},
                    {"stack_bytes", row.stack_bytes},
                    {"resident_bytes", or_null(row.resident_bytes)}});
  }
  return json;
}

}  // namespace heapscan

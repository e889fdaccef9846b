#include "heapscan/report/grep.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/image/search.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr uint64_t kShownBefore = 16;  // bytes in front of a hit
constexpr uint64_t kShownBehind = 48;

bool is_printable(std::byte byte) {
  const auto c = static_cast<unsigned char>(byte);
  return c >= 0x20 && c < 0x7f;
}

// The printable bytes around [at, at + size), quoted.
std::string text_around(const MemoryImage& image, Addr at, uint64_t size) {
  std::string before;
  for (uint64_t i = 1; i <= std::min(kShownBefore, at.value); ++i) {
    const auto byte = image.read<std::byte>(at - i);
    if (!byte || !is_printable(*byte)) break;
    before.insert(before.begin(), static_cast<char>(*byte));
  }
  std::string text = before;
  const uint64_t shown = std::max(size, kShownBehind);
  for (uint64_t i = 0; i < shown; ++i) {
    const auto byte = image.read<std::byte>(at + i);
    if (!byte || (i >= size && !is_printable(*byte))) break;
    text += static_cast<char>(*byte);
  }
  return '"' + escaped(text) + '"';
}

std::string spelled(const GrepPattern& pattern) {
  if (pattern.is_text) return '"' + escaped(pattern.text) + '"';
  return fmt::format("{:#x} as a number of {}", pattern.number, counted(pattern.width, "byte"));
}

Hits search(const MemoryImage& image, const GrepPattern& pattern, size_t most) {
  if (pattern.is_text) return find_bytes(image, std::as_bytes(std::span(pattern.text)), most);
  return find_numbers(image, pattern.number, pattern.number, pattern.width, most);
}

}  // namespace

GrepReport describe_grep(const CaptureFacts& target, const Analysis& analysis,
                         const GrepPattern& pattern, const GrepOptions& options) {
  GrepReport report{make_frame(target, analysis, options), spelled(pattern), {}, 0};
  const Hits hits = search(analysis.image, pattern, options.top);
  report.total = hits.total;
  const PlaceFinder places(analysis);
  for (const Addr at : hits.first) {
    GrepHit hit{places.at(at), ""};
    if (pattern.is_text && options.content)
      hit.around = text_around(analysis.image, at, pattern.text.size());
    report.hits.push_back(std::move(hit));
  }
  return report;
}

void render_text(const GrepReport& report, bool color, std::ostream& out) {
  const Style style(color);
  write_head(report, style, out);
  out << fmt::format("{}  {}\n", style.bold(report.pattern),
                     report.total == 0 ? "is nowhere in the memory that was saved"
                                       : "in " + counted(report.total, "place"));
  for (const GrepHit& hit : report.hits) {
    out << fmt::format("  {}  {}{}\n", hex(hit.place.at), spelled(hit.place),
                       hit.around.empty() ? "" : "  " + hit.around);
  }
  if (report.total > report.hits.size()) {
    out << fmt::format("  {} more, show with: {} -n {}\n",
                       grouped(report.total - report.hits.size()), report.command, report.total);
  }
  write_foot(report, out);
}

void render_json(const GrepReport& report, std::ostream& out) {
  Json hits = Json::array();
  for (const GrepHit& hit : report.hits) {
    hits.push_back({{"place", json_of(hit.place)}, {"around", or_null(hit.around)}});
  }
  write_document("heapscan.grep/1", report,
                 {{"pattern", report.pattern}, {"total", report.total}, {"hits", std::move(hits)}},
                 out);
}

}  // namespace heapscan

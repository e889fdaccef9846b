// All memory is read once for each address. What is asked for is the whole block or variable, so
// that pointers into its middle are found as well.
#include "heapscan/report/refs.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/image/search.h"
#include "heapscan/reach/holders.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr size_t kMostPlaced = 100'000;  // references of which it is looked up where they lie

// What keeps things alive comes first.
int rank_of(const Place& place) {
  switch (place.kind) {
    case PlaceKind::Variable:
    case PlaceKind::ThreadStorage:
      return 0;
    case PlaceKind::Stack:
      return place.state.empty() ? 0 : 5;
    case PlaceKind::Block:
    case PlaceKind::Mapping:
      return place.state == name_of(Verdict::Reachable)  ? 1
             : place.state == name_of(Verdict::Possible) ? 2
                                                         : 3;
    case PlaceKind::FreeBlock:
    case PlaceKind::Allocator:
      return 6;
    default:
      return 4;
  }
}

class RefsDescriber {
 public:
  RefsDescriber(const Analysis& analysis, size_t top)
      : analysis_(analysis), places_(analysis), top_(top) {}

  [[nodiscard]] RefsAnswer answer(Addr asked) const {
    RefsAnswer answer;
    answer.asked = asked;
    answer.place = places_.at(asked);
    const bool is_whole = answer.place.size != 0 && answer.place.kind != PlaceKind::Memory;
    answer.range = is_whole ? AddrRange::sized(answer.place.begin, answer.place.size)
                            : AddrRange::sized(asked, 1);
    add_words(answer);
    const Hits hits = find_numbers(analysis_.image, answer.range.begin().value,
                                   answer.range.end().value - 1, sizeof(uint64_t), kMostPlaced);
    answer.total += hits.total;
    for (const Addr at : hits.first) {
      const Addr value = analysis_.image.read_addr(at).value_or(Addr());
      answer.references.push_back({places_.at(at), value - answer.range.begin()});
    }
    std::stable_sort(
        answer.references.begin(), answer.references.end(),
        [](const Reference& a, const Reference& b) { return rank_of(a.place) < rank_of(b.place); });
    if (answer.references.size() > top_) answer.references.resize(top_);
    return answer;
  }

 private:
  // Registers, and what the kernel holds.
  void add_words(RefsAnswer& answer) const {
    for (size_t i = 0; i < analysis_.roots.words.size(); ++i) {
      const Addr value(analysis_.roots.words[i].value);
      if (!answer.range.contains(value)) continue;
      Holder holder;
      holder.kind = Holder::Kind::Root;
      holder.root = analysis_.roots.ranges.size() + i;
      Reference reference;
      reference.place.kind = PlaceKind::Variable;
      reference.place.name = escaped(describe_place(holder, analysis_.image, analysis_.heap,
                                                    analysis_.roots, analysis_.reach));
      reference.into = value - answer.range.begin();
      answer.references.push_back(std::move(reference));
      ++answer.total;
    }
  }

  const Analysis& analysis_;
  const PlaceFinder places_;
  const size_t top_;
};

void write_reference(const Reference& reference, std::ostream& out) {
  const Place& place = reference.place;
  out << fmt::format("  {:<18}  {}{}\n", place.at.is_null() ? "" : hex(place.at), spelled(place),
                     reference.into == 0 ? "" : fmt::format("  -> +{:#x}", reference.into));
}

}  // namespace

RefsReport describe_refs(const CaptureFacts& target, const Analysis& analysis,
                         std::span<const Addr> addresses, const RefsOptions& options) {
  RefsReport report{make_frame(target, analysis, options), {}};
  const RefsDescriber describer(analysis, options.top);
  for (const Addr asked : addresses) report.answers.push_back(describer.answer(asked));
  return report;
}

void render_text(const RefsReport& report, bool color, std::ostream& out) {
  const Style style(color);
  write_head(report, style, out);
  for (const RefsAnswer& answer : report.answers) {
    out << fmt::format("{}  {}\n", style.bold(hex(answer.asked)), spelled(answer.place));
    out << fmt::format("  {} to it{}\n",
                       answer.total == 0 ? "no pointer" : counted(answer.total, "pointer"),
                       answer.total == 0 ? " found anywhere in the process" : "");
    for (const Reference& reference : answer.references) write_reference(reference, out);
    if (answer.total > answer.references.size()) {
      out << fmt::format("  {} more, show with: {} -n {}\n",
                         grouped(answer.total - answer.references.size()), report.command,
                         std::min<uint64_t>(answer.total, kMostPlaced));
    }
  }
  write_foot(report, out);
}

void render_json(const RefsReport& report, std::ostream& out) {
  Json answers = Json::array();
  for (const RefsAnswer& answer : report.answers) {
    Json references = Json::array();
    for (const Reference& reference : answer.references) {
      references.push_back({{"place", json_of(reference.place)}, {"into", reference.into}});
    }
    answers.push_back({{"address", hex(answer.asked)},
                       {"place", json_of(answer.place)},
                       {"total", answer.total},
                       {"references", std::move(references)}});
  }
  write_document("heapscan.refs/1", report, {{"answers", std::move(answers)}}, out);
}

}  // namespace heapscan

#include "heapscan/report/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/reach/holders.h"
#include "heapscan/report/names.h"
#include "heapscan/report/place.h"
#include "heapscan/symbols/symbols.h"
#include "report/describe_parts.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr size_t kLongestStep = 60;  // characters of a label or member
// Steps alike before and behind the ones that are left out: the first and the last of a list tell
// what it is.
constexpr uint64_t kFewestFolded = 4;

// Where the first pointer from one block to another lies; of start pointers if there are any.
uint64_t offset_of_pointer(const Analysis& analysis, BlockId from, BlockId to) {
  const AddrRange source = analysis.heap.block(from).range();
  const AddrRange target = analysis.heap.block(to).range();
  std::optional<uint64_t> start;
  std::optional<uint64_t> inside;
  analysis.image.for_each_span(source, [&](Addr begin, Bytes bytes) {
    for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size() && !start; i += 8) {
      const Addr value(load<uint64_t>(bytes.data() + i));
      if (value == target.begin()) start = begin + i - source.begin();
      if (target.contains(value) && !inside) inside = begin + i - source.begin();
    }
  });
  return start.value_or(inside.value_or(0));
}

class WhyDescriber {
 public:
  WhyDescriber(const Analysis& analysis, const WhyOptions& options)
      : analysis_(analysis), holding_(*analysis.holding), options_(options), places_(analysis) {}

  [[nodiscard]] WhyAnswer answer(Addr asked) const {
    WhyAnswer answer;
    answer.asked = asked;
    const BlockId id = analysis_.heap.block_at(asked);
    if (!id.valid()) {
      answer.place = spelled(places_.at(asked));
      return answer;
    }
    const Block& block = analysis_.heap.block(id);
    answer.block = block.begin();
    answer.size = block.size();
    answer.resident = resident_bytes(block);
    answer.label = label_of_block(analysis_, id);
    answer.cluster = id_of_block(analysis_, id);
    answer.state = state_of_block(analysis_, id);
    if (!block.is_judged()) return answer;
    if (analysis_.reach.verdict(id) == Verdict::Reachable) {
      describe_paths(id, answer);
    } else {
      answer.reasons = explain_single(analysis_, id);
    }
    return answer;
  }

 private:
  // Where it is not known what is resident, all of it counts.
  [[nodiscard]] uint64_t resident_bytes(const Block& block) const {
    return analysis_.image.residency() ? held_bytes(analysis_.image, block) : block.size();
  }
  void describe_paths(BlockId id, WhyAnswer& answer) const {
    if (const auto row = holding_.retained.row_of(id)) {
      answer.retained = {holding_.retained.blocks(*row),
                         holding_.retained.bytes(*row, analysis_.image, analysis_.heap)};
      answer.is_least = holding_.retained.is_least(*row);
    }
    for (const Path& path : shortest_paths(holding_.graph, id, options_.paths))
      answer.paths.push_back(path_of(path));
    if (answer.paths.empty())
      answer.reasons.emplace_back("reachable by a rule, not by single pointers");
  }

  [[nodiscard]] WhyPath path_of(const Path& path) const {
    WhyPath result;
    const auto at = std::find_if(holding_.graph.root_pointers().begin(),
                                 holding_.graph.root_pointers().end(), [&](const RootPointer& p) {
                                   return p.root == path.from.root && p.at == path.from.at &&
                                          p.to == path.from.to;
                                 });
    const auto number = static_cast<size_t>(at - holding_.graph.root_pointers().begin());
    const RootGroupId group = holding_.roots.groups.group_of[number];
    const RootGroup& root = holding_.roots.rows[group];
    result.owner = escaped(holding_.roots.owners[holding_.roots.groups.owner_of[group]].name);
    result.root = escaped(root.name);
    result.place = path.from.at;
    result.steps.push_back(first_step(path, root));
    for (size_t i = 1; i < path.blocks.size(); ++i)
      add_step(step(path.blocks[i - 1], path.blocks[i]), result.steps);
    return result;
  }

  [[nodiscard]] WhyStep first_step(const Path& path, const RootGroup& root) const {
    WhyStep step = step_to(path.blocks.front());
    if (root.begin.is_null() || path.from.at.is_null()) return step;
    step.offset = path.from.at - root.begin;
    if (root.type.valid()) {
      step.member = escaped(
          name_member(analysis_.types, root.type, analysis_.types.type(root.type).size, step.offset)
              .name);
    }
    return step;
  }
  [[nodiscard]] WhyStep step(BlockId from, BlockId to) const {
    WhyStep step = step_to(to);
    step.offset = offset_of_pointer(analysis_, from, to);
    const TypeId type = type_of_block(analysis_, from);
    step.member = escaped(
        name_member(analysis_.types, type, analysis_.heap.block(from).size(), step.offset).name);
    return step;
  }
  [[nodiscard]] WhyStep step_to(BlockId to) const {
    WhyStep step;
    step.address = analysis_.heap.block(to).begin();
    step.size = analysis_.heap.block(to).size();
    step.resident = resident_bytes(analysis_.heap.block(to));
    step.label = label_of_block(analysis_, to);
    step.cluster = id_of_block(analysis_, to);
    return step;
  }

  // A list of a million nodes is a few rows: its first steps, and one for the rest.
  static void add_step(WhyStep step, std::vector<WhyStep>& steps) {
    const auto are_alike = [](const WhyStep& a, const WhyStep& b) {
      return a.offset == b.offset && a.cluster == b.cluster && a.size == b.size;
    };
    const size_t count = steps.size();
    const bool repeats =
        count >= kFewestFolded && std::all_of(steps.end() - kFewestFolded + 1, steps.end(),
                                              [&](const WhyStep& s) { return are_alike(s, step); });
    if (!repeats) {
      steps.push_back(std::move(step));
      return;
    }
    step.times = steps.back().times + 1;
    steps.back() = std::move(step);
  }

  const Analysis& analysis_;
  const Holding& holding_;
  const WhyOptions& options_;
  const PlaceFinder places_;
};

void write_step(const WhyStep& step, std::string_view before, std::ostream& out) {
  std::string pointer = step.member.empty() ? fmt::format("+{:#x}", step.offset)
                                            : shortened(step.member, kLongestStep);
  if (step.times > 1) pointer += fmt::format(", {} times", grouped(step.times));
  out << fmt::format("    {}{} → {}, {}{}\n", before, pointer, hex(step.address),
                     spelled_extent(step.size, step.resident),
                     step.label.empty() ? "" : ", " + shortened(step.label, kLongestStep));
}

void write_path(const WhyPath& path, std::ostream& out) {
  out << fmt::format("  from {} of {}{}\n", path.root, path.owner,
                     path.place.is_null() ? "" : fmt::format(", at {}", hex(path.place)));
  for (const WhyStep& step : path.steps) write_step(step, "", out);
}

void write_answer(const WhyAnswer& answer, const Style& style, std::ostream& out) {
  if (!answer.block) {
    out << fmt::format("{}  in no block of the heap: {}\n", style.bold(hex(answer.asked)),
                       answer.place);
    return;
  }
  std::string line = spelled_extent(answer.size, answer.resident);
  if (!answer.label.empty()) line += ", " + shortened(answer.label, kLongestStep);
  line += ", " + answer.state;
  if (*answer.block != answer.asked)
    line = fmt::format("+{:#x} in block {}, ", answer.asked - *answer.block, hex(*answer.block)) +
           line;
  if (answer.retained && answer.retained->blocks > 1) {
    line +=
        fmt::format("; holds {}{} in {} alone", answer.is_least ? "at least " : "",
                    human_bytes(answer.retained->bytes), counted(answer.retained->blocks, "block"));
  }
  out << fmt::format("{}  {}\n", style.bold(hex(answer.asked)), line);
  for (const WhyPath& path : answer.paths) write_path(path, out);
  for (const std::string& reason : answer.reasons) out << "  " << reason << '\n';
}

Json json_of_step(const WhyStep& step) {
  return {{"offset", step.offset},
          {"member", or_null(step.member)},
          {"address", hex(step.address)},
          {"size", step.size},
          {"resident", step.resident},
          {"label", or_null(step.label)},
          {"cluster", or_null(step.cluster)},
          {"times", step.times}};
}

Json json_of_path(const WhyPath& path) {
  Json steps = Json::array();
  for (const WhyStep& step : path.steps) steps.push_back(json_of_step(step));
  return {{"owner", path.owner},
          {"root", path.root},
          {"place", path.place.is_null() ? Json(nullptr) : Json(hex(path.place))},
          {"steps", std::move(steps)}};
}

Json json_of_answer(const WhyAnswer& answer) {
  Json block = nullptr;
  if (answer.block) {
    block = {{"address", hex(*answer.block)},
             {"size", answer.size},
             {"resident", answer.resident},
             {"state", answer.state},
             {"label", or_null(answer.label)},
             {"cluster", or_null(answer.cluster)},
             {"retained", answer.retained ? json_of(*answer.retained) : Json(nullptr)},
             {"at_least", answer.is_least}};
  }
  Json paths = Json::array();
  for (const WhyPath& path : answer.paths) paths.push_back(json_of_path(path));
  return {{"address", hex(answer.asked)},
          {"place", or_null(answer.place)},
          {"block", std::move(block)},
          {"paths", std::move(paths)},
          {"evidence", answer.reasons}};
}

}  // namespace

std::string spelled_extent(uint64_t size, uint64_t resident) {
  return resident >= size
             ? human_bytes(size)
             : fmt::format("{}, {} of it resident", human_bytes(size), human_bytes(resident));
}

WhyReport describe_why(const CaptureFacts& target, const Analysis& analysis,
                       std::span<const Addr> addresses, const WhyOptions& options) {
  HS_CHECK(analysis.holding.has_value());
  WhyReport report{make_frame(target, analysis, options), {}};
  const WhyDescriber describer(analysis, options);
  for (const Addr address : addresses) report.answers.push_back(describer.answer(address));
  return report;
}

void render_text(const WhyReport& report, bool color, std::ostream& out) {
  const Style style(color);
  write_head(report, style, out);
  for (const WhyAnswer& answer : report.answers) write_answer(answer, style, out);
  write_foot(report, out);
}

void render_json(const WhyReport& report, std::ostream& out) {
  Json answers = Json::array();
  for (const WhyAnswer& answer : report.answers) answers.push_back(json_of_answer(answer));
  write_document("heapscan.why/1", report, {{"answers", std::move(answers)}}, out);
}

}  // namespace heapscan

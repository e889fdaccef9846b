#include "heapscan/report/find.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "heapscan/base/text.h"
#include "heapscan/report/names.h"
#include "heapscan/report/place.h"
#include "heapscan/triage/name_pattern.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr size_t kLongestFound = 60;  // characters of a label
constexpr size_t kShortestIdPrefix = 4;

bool is_free(const Block& block) {
  return block.state() == BlockState::Tcache || block.state() == BlockState::Fastbin ||
         block.state() == BlockState::Binned;
}

class BlockSearch {
 public:
  BlockSearch(const Analysis& analysis, const FindOptions& options)
      : analysis_(analysis), options_(options) {
    if (options.kind.empty()) return;
    const ClusterChoice choice = options.kind.size() >= kShortestIdPrefix
                                     ? find_cluster(analysis, options.kind)
                                     : ClusterChoice();
    wanted_.assign(analysis.clusters.rows.size(), 0);
    for (const ClusterId cluster : choice.found) wanted_[cluster.index()] = 1;
    if (!choice.found.empty()) return;
    const NamePattern pattern(options.kind);
    for (size_t i = 0; i < wanted_.size(); ++i)
      wanted_[i] = pattern.matches(label_of(analysis, ClusterId(i))) ? 1 : 0;
  }

  void run(FindReport& report) {
    for (size_t i = 0; i < analysis_.heap.blocks.size(); ++i) {
      const BlockId id(i);
      const Block& block = analysis_.heap.block(id);
      if (!is_admitted(id, block)) continue;
      const ClusterId cluster = analysis_.clusters.of(id);
      if (!options_.kind.empty() && (!cluster.valid() || wanted_[cluster.index()] == 0)) continue;
      take(id, block, cluster, report.total);
    }
    name_groups(report);
    name_blocks(report);
  }

 private:
  [[nodiscard]] bool is_admitted(BlockId id, const Block& block) const {
    if (block.size() < options_.min_size || block.size() > options_.max_size) return false;
    if (block.state() == BlockState::Used)
      return options_.verdicts.has(analysis_.reach.verdict(id)) && !analysis_.suppressed.has(id);
    return options_.free && is_free(block);
  }

  void take(BlockId id, const Block& block, ClusterId cluster, VerdictTotal& total) {
    ++total.blocks;
    total.bytes += block.size();
    VerdictTotal& group = groups_[cluster];
    ++group.blocks;
    group.bytes += block.size();
    found_.push_back(id);
  }

  void name_groups(FindReport& report) const {
    for (const auto& [cluster, total] : groups_) {
      if (!cluster.valid()) {
        report.groups.push_back({"", "", total});
      } else {
        report.groups.push_back({id_of(analysis_, cluster), label_of(analysis_, cluster), total});
      }
    }
    std::stable_sort(
        report.groups.begin(), report.groups.end(),
        [](const FoundGroup& a, const FoundGroup& b) { return a.total.bytes > b.total.bytes; });
  }

  void name_blocks(FindReport& report) {
    const size_t shown = std::min(found_.size(), options_.top);
    if (options_.largest_first) {
      const auto size = [&](BlockId id) { return analysis_.heap.block(id).size(); };
      std::partial_sort(
          found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(shown), found_.end(),
          [&](BlockId a, BlockId b) { return size(a) != size(b) ? size(a) > size(b) : a < b; });
    }
    for (size_t i = 0; i < shown; ++i) {
      const Block& block = analysis_.heap.block(found_[i]);
      report.blocks.push_back({block.begin(), block.size(), state_of_block(analysis_, found_[i]),
                               label_of_block(analysis_, found_[i]),
                               id_of_block(analysis_, found_[i])});
    }
  }

  const Analysis& analysis_;
  const FindOptions& options_;
  std::vector<uint8_t> wanted_;  // by cluster; empty: any, or none
  std::vector<BlockId> found_;
  std::map<ClusterId, VerdictTotal> groups_;
};

// "reachable or free"; empty when all blocks in use are meant.
std::string spelled_states(const FindOptions& options) {
  std::string states;
  size_t count = 0;
  for (const Verdict verdict :
       {Verdict::Reachable, Verdict::Possible, Verdict::Indirect, Verdict::Definite}) {
    if (!options.verdicts.has(verdict)) continue;
    states += std::string(states.empty() ? "" : " or ") + name_of(verdict);
    ++count;
  }
  if (options.free) return states + (states.empty() ? "free" : " or free");
  return count == kVerdictCount - 1 ? "" : states;
}

constexpr std::string_view kAnyBlocks = "blocks";

// "\"session\" of 100 to 300 B that are definite".
std::string spelled(const FindOptions& options) {
  std::string text =
      options.kind.empty() ? std::string(kAnyBlocks) : fmt::format("\"{}\"", escaped(options.kind));
  if (options.min_size == options.max_size) {
    text += fmt::format(" of {} B", grouped(options.min_size));
  } else if (options.max_size != ~uint64_t{0}) {
    text += fmt::format(" of {} to {} B", grouped(options.min_size), grouped(options.max_size));
  } else if (options.min_size != 0) {
    text += fmt::format(" of {} B and more", grouped(options.min_size));
  }
  const std::string states = spelled_states(options);
  return states.empty() ? text : text + " that are " + states;
}

// Behind "in 4 blocks": what was asked for, without that word once more.
std::string spelled_after_blocks(const std::string& what) {
  return what.starts_with(kAnyBlocks) ? what.substr(kAnyBlocks.size()) : ": " + what;
}

}  // namespace

FindReport describe_find(const CaptureFacts& target, const Analysis& analysis,
                         const FindOptions& options) {
  FindReport report{make_frame(target, analysis, options), spelled(options), {}, {}, {}};
  BlockSearch(analysis, options).run(report);
  return report;
}

void render_text(const FindReport& report, bool color, std::ostream& out) {
  const Style style(color);
  write_head(report, style, out);
  out << fmt::format("{}  {} in {}{}\n", style.bold("found"), human_bytes(report.total.bytes),
                     counted(report.total.blocks, "block"), spelled_after_blocks(report.what));
  constexpr size_t kGroupsShown = 10;
  const size_t shown =
      report.verbose ? report.groups.size() : std::min(report.groups.size(), kGroupsShown);
  for (size_t i = 0; i < shown; ++i) {
    const FoundGroup& group = report.groups[i];
    out << fmt::format("  {:>9}  {:>9} ×  {}{}\n", human_bytes(group.total.bytes),
                       grouped(group.total.blocks),
                       group.id.empty() ? "in no group" : shortened(group.label, kLongestFound),
                       group.id.empty() ? "" : fmt::format("  [{}]", group.id));
  }
  if (shown < report.groups.size()) {
    out << fmt::format("  {}, show with: {} -v\n",
                       counted(report.groups.size() - shown, "more group"), report.command);
  }
  for (const FoundBlock& block : report.blocks) {
    out << fmt::format("  {}  {:>11} B  {:<9}{}{}\n", hex(block.address), grouped(block.size),
                       block.state, block.label.empty() ? "" : "  ",
                       shortened(block.label, kLongestFound));
  }
  if (report.total.blocks > report.blocks.size()) {
    out << fmt::format("  {}, show with: {} -n {}\n",
                       counted(report.total.blocks - report.blocks.size(), "more block"),
                       report.command, report.total.blocks);
  }
  write_foot(report, out);
}

void render_json(const FindReport& report, std::ostream& out) {
  Json groups = Json::array();
  for (const FoundGroup& group : report.groups) {
    groups.push_back({{"id", or_null(group.id)},
                      {"label", or_null(group.label)},
                      {"total", json_of(group.total)}});
  }
  Json blocks = Json::array();
  for (const FoundBlock& block : report.blocks) {
    blocks.push_back({{"address", hex(block.address)},
                      {"size", block.size},
                      {"state", block.state},
                      {"label", or_null(block.label)},
                      {"cluster", or_null(block.cluster)}});
  }
  write_document("heapscan.find/1", report,
                 {{"what", report.what},
                  {"total", json_of(report.total)},
                  {"groups", std::move(groups)},
                  {"blocks", std::move(blocks)}},
                 out);
}

}  // namespace heapscan

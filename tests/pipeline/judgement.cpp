#include "pipeline/judgement.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "heapscan/reach/holders.h"

namespace heapscan {
namespace {

constexpr size_t kProblemsShown = 25;
constexpr size_t kProblemsExplained = 5;
constexpr size_t kLongestPath = 12;
constexpr std::array<Verdict, 3> kUnreached = {Verdict::Possible, Verdict::Indirect,
                                               Verdict::Definite};

bool is_unreached(Verdict verdict) {
  return std::find(kUnreached.begin(), kUnreached.end(), verdict) != kUnreached.end();
}

const char* name_of(const std::optional<Verdict>& verdict) {
  return verdict ? heapscan::name_of(*verdict) : "free";
}

const VerdictTotal& total_of(const Judgement& judgement, Verdict verdict, bool is_mapping) {
  return (is_mapping ? judgement.mapping_totals : judgement.totals)[static_cast<size_t>(verdict)];
}

std::string in_words(const JudgedBlock& block) {
  return fmt::format("{} {:#x} of {} B: {}, group {}", block.is_mapping ? "mapping" : "block",
                     block.address.value, block.size, heapscan::name_of(block.verdict),
                     block.group.empty() ? "none" : block.group);
}

std::string group_of(const Analysis& analysis, BlockId id) {
  const ClusterId cluster = analysis.clusters.of(id);
  if (!cluster.valid()) return "";
  return fmt::format("{:x} \"{}\"", analysis.clusters.rows[cluster].fingerprint,
                     analysis.identities.rows[cluster].label);
}

// Where `reason` is known why a block is possible.
std::string reason_of(const Analysis& analysis, BlockId id) {
  const auto& possible = analysis.reach.possible;
  const auto found =
      std::lower_bound(possible.begin(), possible.end(), id,
                       [](const PossibleBlock& row, BlockId block) { return row.block < block; });
  return found == possible.end() || found->block != id
             ? ""
             : fmt::format(" ({})", heapscan::name_of(found->reason));
}

// Holds an analysis against what the program said, and remembers every contradiction.
class Comparison {
 public:
  Comparison(const Analysis& analysis, const Truth& truth, Door door)
      : analysis_(analysis), heap_(analysis.heap), truth_(truth), door_(door) {}

  void compare_listed_blocks() {
    for (const TruthLine& line : truth_.blocks) {
      listed_.insert(line.address);
      if (line.may_be_any) continue;
      const std::optional<Verdict> expected = expected_of(line);
      if (expected) {
        compare_used(line, *expected);
      } else {
        compare_freed(line);
      }
    }
  }

  void compare_unlisted_blocks(Coverage coverage) {
    for (const BlockId id : unreached()) {
      const Block& block = heap_.block(id);
      const Verdict verdict = analysis_.reach.verdict(id);
      if (block.state() == BlockState::Mapping || listed_.contains(block.begin())) continue;
      if (coverage == Coverage::Moving && verdict == Verdict::Possible) continue;
      if (coverage == Coverage::Heads && verdict == Verdict::Indirect) continue;
      if (find_summary(verdict) != nullptr) continue;  // totals stand for those not listed
      add(fmt::format("unlisted block {:#x} of {} B (arena {}): no verdict but reachable is right, "
                      "got {}{}",
                      block.begin().value, block.size(), arena_of(block),
                      heapscan::name_of(verdict), reason_of(analysis_, id)),
          id);
    }
  }

  void compare_summaries() {
    for (const TruthSummary& summary : truth_.summaries) {
      const StateTotal& free = heap_.totals.free;
      const VerdictTotal got = summary.verdict
                                   ? analysis_.reach.totals[static_cast<size_t>(*summary.verdict)]
                                   : VerdictTotal{free.blocks, free.bytes};
      const bool at_least =
          summary.is_least || !summary.verdict || *summary.verdict == Verdict::Reachable;
      // Freed neighbours are merged, so only their bytes can be counted.
      const bool blocks_fit = !summary.verdict || (at_least ? got.blocks >= summary.blocks
                                                            : got.blocks == summary.blocks);
      const bool bytes_fit = at_least ? got.bytes >= summary.bytes : got.bytes == summary.bytes;
      if (blocks_fit && bytes_fit) continue;
      add(fmt::format("total of {} blocks: expected {}{} B in {} blocks, got {} B in {} blocks",
                      name_of(summary.verdict), at_least ? "at least " : "", summary.bytes,
                      summary.blocks, got.bytes, got.blocks));
    }
  }

  // The kernel merges mappings that touch, so only what they cover can be compared.
  void compare_mappings() {
    for (const TruthLine& line : truth_.mappings) {
      const AddrRange range = AddrRange::sized(line.address, line.size);
      const std::optional<Verdict> expected = expected_of(line);
      for (Addr at = range.begin(); at < range.end(); at = at + 4096) {
        const std::optional<Verdict> got = mapping_verdict(at);
        if (got == expected) continue;
        add(fmt::format("mapping {} {:#x} of {} B, at {:#x}: expected {}, got {}", line.label,
                        line.address.value, line.size, at.value, name_of(expected),
                        got ? heapscan::name_of(*got) : "no mapping"),
            heap_.block_at(at));
        break;
      }
    }
    for (const BlockId id : unreached()) {
      const Block& block = heap_.block(id);
      if (block.state() == BlockState::Mapping) compare_reported_mapping(id, block);
    }
  }

  [[nodiscard]] std::vector<std::string> take() { return std::move(problems_); }

 private:
  [[nodiscard]] std::optional<Verdict> expected_of(const TruthLine& line) const {
    return door_ == Door::Core ? line.verdict_in_core : line.verdict;
  }

  [[nodiscard]] std::vector<BlockId> unreached() const {
    std::vector<BlockId> ids;
    for (const LostBlock& lost : analysis_.reach.lost) ids.push_back(lost.block);
    for (const PossibleBlock& possible : analysis_.reach.possible) ids.push_back(possible.block);
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  [[nodiscard]] const TruthSummary* find_summary(Verdict verdict) const {
    for (const TruthSummary& summary : truth_.summaries) {
      if (summary.verdict == verdict && !summary.is_least) return &summary;
    }
    return nullptr;
  }

  [[nodiscard]] static std::string arena_of(const Block& block) {
    return block.arena().valid() ? std::to_string(block.arena().value) : "none";
  }

  void compare_used(const TruthLine& line, Verdict expected) {
    const std::string what =
        fmt::format("block {} {:#x} of {} B", line.label, line.address.value, line.size);
    const BlockId id = heap_.block_at(line.address);
    if (!id.valid()) {
      add(fmt::format("{}: expected {}, got no block at all", what, heapscan::name_of(expected)));
      return;
    }
    const Block& block = heap_.block(id);
    const Verdict got = analysis_.reach.verdict(id);
    if (block.begin() != line.address || block.size() != line.size ||
        block.state() != BlockState::Used) {
      add(fmt::format("{}: expected a used block, got a block {:#x} of {} B which is {}", what,
                      block.begin().value, block.size(), heapscan::name_of(block.state())));
    } else if (got != expected) {
      add(fmt::format("{} (arena {}): expected {}, got {}{}", what, arena_of(block),
                      heapscan::name_of(expected), heapscan::name_of(got),
                      reason_of(analysis_, id)),
          id);
    }
  }

  void compare_freed(const TruthLine& line) {
    const BlockId id = heap_.block_at(line.address);
    if (!id.valid() || heap_.block(id).state() != BlockState::Used) return;
    const Block& block = heap_.block(id);
    add(
        fmt::format("block {} {:#x} of {} B: expected free, got a used block {:#x} of {} B "
                    "(arena {}) that is {}",
                    line.label, line.address.value, line.size, block.begin().value, block.size(),
                    arena_of(block), heapscan::name_of(analysis_.reach.verdict(id))));
  }

  [[nodiscard]] std::optional<Verdict> mapping_verdict(Addr at) const {
    const BlockId id = heap_.block_at(at);
    if (!id.valid() || heap_.block(id).state() != BlockState::Mapping) return std::nullopt;
    return analysis_.reach.verdict(id);
  }

  // Every page of a mapping reported as unreached has to be one that the program listed as such.
  void compare_reported_mapping(BlockId id, const Block& mapping) {
    const Verdict verdict = analysis_.reach.verdict(id);
    for (Addr at = mapping.begin(); at < mapping.range().end(); at = at + 4096) {
      const bool is_listed =
          std::any_of(truth_.mappings.begin(), truth_.mappings.end(), [&](const TruthLine& line) {
            return AddrRange::sized(line.address, line.size).contains(at) &&
                   expected_of(line) == verdict;
          });
      if (is_listed) continue;
      add(fmt::format("unlisted mapping {:#x} of {} B (listed up to {:#x}): no verdict but "
                      "reachable is right, got {}{}",
                      mapping.begin().value, mapping.size(), at.value, heapscan::name_of(verdict),
                      reason_of(analysis_, id)),
          id);
      return;
    }
  }

  void add(std::string problem, BlockId id = BlockId::none()) {
    if (id.valid() && problems_.size() < kProblemsExplained) {
      problem += "\n      " + explain(analysis_, id);
    }
    problems_.push_back(std::move(problem));
  }

  const Analysis& analysis_;
  const HeapModel& heap_;
  const Truth& truth_;
  Door door_;
  std::set<Addr> listed_;
  std::vector<std::string> problems_;
};

void compare_totals(const Judgement& expected, const Judgement& got, bool are_mappings,
                    std::vector<std::string>& problems) {
  for (size_t i = 0; i < kVerdictCount; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    const VerdictTotal& one = total_of(expected, verdict, are_mappings);
    const VerdictTotal& other = total_of(got, verdict, are_mappings);
    if (one.blocks == other.blocks && one.bytes == other.bytes) continue;
    problems.push_back(fmt::format("{} {}: {} B in {}, then {} B in {}", heapscan::name_of(verdict),
                                   are_mappings ? "mappings" : "blocks", one.bytes, one.blocks,
                                   other.bytes, other.blocks));
  }
}

}  // namespace

Judgement judgement_of(const Analysis& analysis, const Truth& truth) {
  std::set<Addr> held_by_kernel;
  for (const TruthLine& line : truth.blocks) {
    if (line.is_held_by_kernel()) held_by_kernel.insert(line.address);
  }
  Judgement judgement;
  judgement.totals = analysis.reach.totals;
  judgement.mapping_totals = analysis.reach.mapping_totals;
  for (size_t row = 0; row < analysis.heap.blocks.size(); ++row) {
    const BlockId id(row);
    const Block& block = analysis.heap.block(id);
    const Verdict verdict = analysis.reach.verdict(id);
    const bool is_mapping = block.state() == BlockState::Mapping;
    if (held_by_kernel.contains(block.begin())) {
      auto& total = judgement.totals[static_cast<size_t>(verdict)];
      total.blocks -= 1;
      total.bytes -= block.size();
    } else if (is_unreached(verdict)) {
      judgement.unreached.push_back(
          {block.begin(), block.size(), verdict, is_mapping, group_of(analysis, id)});
    }
  }
  return judgement;
}

std::vector<std::string> differences(const Judgement& expected, const Judgement& got) {
  std::vector<std::string> problems;
  compare_totals(expected, got, false, problems);
  compare_totals(expected, got, true, problems);
  std::vector<JudgedBlock> lost_sight;
  std::vector<JudgedBlock> appeared;
  std::set_difference(expected.unreached.begin(), expected.unreached.end(), got.unreached.begin(),
                      got.unreached.end(), std::back_inserter(lost_sight));
  std::set_difference(got.unreached.begin(), got.unreached.end(), expected.unreached.begin(),
                      expected.unreached.end(), std::back_inserter(appeared));
  for (const JudgedBlock& block : lost_sight) {
    problems.push_back("no longer " + in_words(block));
  }
  for (const JudgedBlock& block : appeared) problems.push_back("now " + in_words(block));
  return problems;
}

std::vector<std::string> contradictions(const Analysis& analysis, const Truth& truth, Door door,
                                        Coverage coverage) {
  Comparison comparison(analysis, truth, door);
  comparison.compare_listed_blocks();
  comparison.compare_unlisted_blocks(coverage);
  if (coverage != Coverage::Moving) {
    comparison.compare_summaries();
    comparison.compare_mappings();
  }
  return comparison.take();
}

std::vector<std::string> false_alarms(const Analysis& analysis, const Truth& truth) {
  std::vector<std::string> problems;
  std::set<Addr> may_be_lost;
  for (const std::vector<TruthLine>* lines : {&truth.blocks, &truth.mappings}) {
    for (const TruthLine& line : *lines) {
      const bool is_lost =
          line.verdict_in_core == Verdict::Definite || line.verdict_in_core == Verdict::Indirect;
      if (is_lost) may_be_lost.insert(line.address);
      if (line.verdict_in_core && !analysis.heap.block_at(line.address).valid()) {
        problems.push_back(fmt::format("{} {:#x} was not found", line.label, line.address.value));
      }
    }
  }
  for (const LostBlock& lost : analysis.reach.lost) {
    const Block& block = analysis.heap.block(lost.block);
    if (may_be_lost.contains(block.begin())) continue;
    problems.push_back(fmt::format(
        "{} {:#x} of {} B: is not lost, got {}", heapscan::name_of(block.state()),
        block.begin().value, block.size(), heapscan::name_of(analysis.reach.verdict(lost.block))));
  }
  return problems;
}

std::string explain(const Analysis& analysis, BlockId id) {
  std::string path;
  std::set<BlockId> seen;
  while (id.valid() && seen.insert(id).second && seen.size() <= kLongestPath) {
    const BlockId asked[] = {id};
    const auto holders =
        find_holders(analysis.image, analysis.heap, analysis.roots, analysis.reach, asked);
    if (!path.empty()) path += "\n      ";
    if (!holders.front()) return path + "nothing names it";
    const Holder& holder = *holders.front();
    path += fmt::format(
        "held (+{:#x}) by {}", holder.into,
        describe(holder, analysis.image, analysis.heap, analysis.roots, analysis.reach));
    id = holder.kind == Holder::Kind::Root ? BlockId::none() : holder.block;
  }
  return path;
}

std::string listing(std::string_view title, const std::vector<std::string>& problems) {
  std::string text = fmt::format("{}: {} problems", title, problems.size());
  for (size_t i = 0; i < problems.size() && i < kProblemsShown; ++i) {
    text += "\n  " + problems[i];
  }
  return problems.size() > kProblemsShown ? text + "\n  ..." : text;
}

}  // namespace heapscan

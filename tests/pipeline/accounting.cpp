#include "pipeline/accounting.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace heapscan {
namespace {

// Between the end of one block and the begin of the next lies the next one's size word; the first
// block of a range has a whole header before it. Fenceposts and the rest up to an aligned start
// come on top.
constexpr uint64_t kSizeWord = 8;
constexpr uint64_t kHeader = 16;
constexpr uint64_t kMostPadding = 32;

struct Piece {
  AddrRange range;
  bool is_block = false;
};

// In a mapping of one chunk, an alignment was asked for when the chunk begins further in: its
// header says by how much.
std::optional<uint64_t> offset_in_mapping(const Analysis& analysis, Addr block) {
  return analysis.image.read<uint64_t>(block - kHeader);
}

// The blocks and damaged parts within `range`, by address.
std::vector<Piece> pieces_of(const HeapModel& heap, AddrRange range) {
  std::vector<Piece> pieces;
  const auto rows = heap.blocks.rows();
  auto row = std::lower_bound(rows.begin(), rows.end(), range.begin(),
                              [](const Block& block, Addr at) { return block.begin() < at; });
  for (; row != rows.end() && row->begin() < range.end(); ++row) {
    if (row->state() != BlockState::Mapping) pieces.push_back({row->range(), true});
  }
  for (const AddrRange& damaged : heap.damaged) {
    if (damaged.overlaps(range)) pieces.push_back({damaged.intersect(range), false});
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.range < b.range; });
  return pieces;
}

void account_for(const Analysis& analysis, const HeapRange& heap_range,
                 std::vector<std::string>& errors) {
  const HeapModel& heap = analysis.heap;
  const AddrRange& range = heap_range.range;
  uint64_t blocks = 0;
  uint64_t gaps = 0;
  Addr at = range.begin();
  for (const Piece& piece : pieces_of(heap, range)) {
    const char* const what = piece.is_block ? "block" : "damaged part";
    if (piece.range.begin() < at || piece.range.end() > range.end()) {
      errors.push_back(
          fmt::format("{} [{:#x}, {:#x}) overlaps what is before it or leaves its heap range "
                      "[{:#x}, {:#x}), of which all before {:#x} is accounted for",
                      what, piece.range.begin().value, piece.range.end().value, range.begin().value,
                      range.end().value, at.value));
      at = std::max(at, piece.range.end());
      continue;
    }
    const uint64_t gap = piece.range.begin() - at;
    const bool is_own_mapping = !heap_range.arena.valid();
    const uint64_t most =
        is_own_mapping ? kHeader + offset_in_mapping(analysis, piece.range.begin()).value_or(0)
                       : kMostPadding;
    if (gap > most || (piece.is_block && gap < kSizeWord)) {
      errors.push_back(fmt::format("{} bytes before the {} at {:#x} in heap range [{:#x}, {:#x})",
                                   gap, what, piece.range.begin().value, range.begin().value,
                                   range.end().value));
    }
    if (piece.is_block && piece.range.begin().value % kHeader != 0) {
      errors.push_back(
          fmt::format("block {:#x} is not on the grid of 16 bytes", piece.range.begin().value));
    }
    gaps += gap;
    blocks += piece.range.size();
    at = piece.range.end();
  }
  const uint64_t rest = range.end() - at;
  if (rest > kMostPadding) {
    errors.push_back(fmt::format("{} bytes at the end of heap range [{:#x}, {:#x})", rest,
                                 range.begin().value, range.end().value));
  }
  if (blocks + gaps + rest != range.size()) {
    errors.push_back(fmt::format(
        "heap range [{:#x}, {:#x}): {} B in blocks and damage + {} B between them != {} B",
        range.begin().value, range.end().value, blocks, gaps + rest, range.size()));
  }
}

void check_that_blocks_lie_in_ranges(const HeapModel& heap, std::vector<std::string>& errors) {
  for (const Block& block : heap.blocks) {
    const auto after =
        std::upper_bound(heap.ranges.begin(), heap.ranges.end(), block.begin(),
                         [](Addr at, const HeapRange& range) { return at < range.range.begin(); });
    const bool is_inside =
        after != heap.ranges.begin() && std::prev(after)->range.contains(block.range());
    if (is_inside == (block.state() != BlockState::Mapping)) continue;
    errors.push_back(fmt::format("{} block {:#x} of {} B lies {} heap ranges",
                                 name_of(block.state()), block.begin().value, block.size(),
                                 is_inside ? "inside" : "outside"));
  }
}

void check_order(const HeapModel& heap, std::vector<std::string>& errors) {
  for (size_t i = 1; i < heap.blocks.size(); ++i) {
    const Block& before = heap.blocks[i - 1];
    const Block& after = heap.blocks[i];
    if (before.range().end() <= after.begin()) continue;
    errors.push_back(fmt::format("block {:#x} of {} B reaches beyond the next one at {:#x}",
                                 before.begin().value, before.size(), after.begin().value));
  }
  for (size_t i = 1; i < heap.ranges.size(); ++i) {
    if (heap.ranges[i - 1].range.end() <= heap.ranges[i].range.begin()) continue;
    errors.push_back(fmt::format("heap range at {:#x} overlaps the one before it",
                                 heap.ranges[i].range.begin().value));
  }
}

struct Sums {
  StateTotal used, free, mappings;
  uint64_t top = 0;
  std::array<VerdictTotal, kVerdictCount> verdicts{};
  std::array<VerdictTotal, kVerdictCount> mapping_verdicts{};
};

void add_to(StateTotal& total, const Block& block) {
  total.blocks += 1;
  total.bytes += block.size();
}

Sums sums_of(const Analysis& analysis) {
  Sums sums;
  for (size_t row = 0; row < analysis.heap.blocks.size(); ++row) {
    const Block& block = analysis.heap.blocks[row];
    const auto verdict = static_cast<size_t>(analysis.reach.verdict(BlockId(row)));
    switch (block.state()) {
      case BlockState::Used:
        add_to(sums.used, block);
        sums.verdicts[verdict].blocks += 1;
        sums.verdicts[verdict].bytes += block.size();
        break;
      case BlockState::Mapping:
        add_to(sums.mappings, block);
        sums.mapping_verdicts[verdict].blocks += 1;
        sums.mapping_verdicts[verdict].bytes += block.size();
        break;
      case BlockState::Tcache:
      case BlockState::Fastbin:
      case BlockState::Binned:
        add_to(sums.free, block);
        break;
      case BlockState::Top:
        sums.top += block.size();
        break;
      case BlockState::Bookkeeping:
        break;
    }
  }
  return sums;
}

void compare(const char* what, uint64_t blocks, uint64_t bytes, uint64_t blocks_stated,
             uint64_t bytes_stated, std::vector<std::string>& errors) {
  if (blocks == blocks_stated && bytes == bytes_stated) return;
  errors.push_back(fmt::format("{}: {} B in {} blocks, but the totals say {} B in {}", what, bytes,
                               blocks, bytes_stated, blocks_stated));
}

void check_totals(const Analysis& analysis, std::vector<std::string>& errors) {
  const Sums sums = sums_of(analysis);
  const HeapTotals& totals = analysis.heap.totals;
  compare("used", sums.used.blocks, sums.used.bytes, totals.used.blocks, totals.used.bytes, errors);
  compare("free", sums.free.blocks, sums.free.bytes, totals.free.blocks, totals.free.bytes, errors);
  compare("mappings", sums.mappings.blocks, sums.mappings.bytes, totals.mappings.blocks,
          totals.mappings.bytes, errors);
  compare("top", 1, sums.top, 1, totals.top_bytes, errors);
  for (size_t i = 0; i < kVerdictCount; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    if (verdict == Verdict::NotJudged) continue;
    const VerdictTotal& blocks = analysis.reach.totals[i];
    const VerdictTotal& mappings = analysis.reach.mapping_totals[i];
    compare(name_of(verdict), sums.verdicts[i].blocks, sums.verdicts[i].bytes, blocks.blocks,
            blocks.bytes, errors);
    compare(fmt::format("{} mappings", name_of(verdict)).c_str(), sums.mapping_verdicts[i].blocks,
            sums.mapping_verdicts[i].bytes, mappings.blocks, mappings.bytes, errors);
  }
  const auto unjudged = static_cast<size_t>(Verdict::NotJudged);
  if (sums.verdicts[unjudged].blocks + sums.mapping_verdicts[unjudged].blocks != 0) {
    errors.push_back(fmt::format("{} used blocks and {} mappings have no verdict",
                                 sums.verdicts[unjudged].blocks,
                                 sums.mapping_verdicts[unjudged].blocks));
  }
}

}  // namespace

std::vector<std::string> accounting_errors(const Analysis& analysis) {
  std::vector<std::string> errors;
  check_order(analysis.heap, errors);
  check_that_blocks_lie_in_ranges(analysis.heap, errors);
  for (const HeapRange& range : analysis.heap.ranges) account_for(analysis, range, errors);
  check_totals(analysis, errors);
  return errors;
}

std::vector<std::string> failed_checks(const HeapModel& heap) {
  std::vector<std::string> failed;
  if (heap.checks.empty()) failed.emplace_back("the walker checked nothing");
  for (const Check& check : heap.checks) {
    if (!check.ok) failed.push_back(check.name + ": " + check.detail);
  }
  return failed;
}

}  // namespace heapscan

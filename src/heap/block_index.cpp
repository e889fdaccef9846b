#include "heapscan/heap/block_index.h"

#include <algorithm>

#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr uint64_t kSmallestGap = uint64_t{1} << 30;  // closer ranges share a stretch
constexpr uint32_t kSmallestShift = 16;
constexpr uint64_t kMostWindows = uint64_t{1} << 18;  // per stretch
constexpr size_t kWordsPerPiece = 4096;

struct GridRows {
  AddrRange grid;
  size_t first = 0;  // rows of the block table
  size_t last = 0;
};

size_t first_row_at_or_above(std::span<const Block> blocks, Addr address) {
  const auto row = std::partition_point(blocks.begin(), blocks.end(),
                                        [address](const Block& b) { return b.begin() < address; });
  return static_cast<size_t>(row - blocks.begin());
}

uint64_t words_of(AddrRange grid) {
  return (grid.size() + BlockIndex::kBytesPerWord - 1) / BlockIndex::kBytesPerWord;
}

// A grid costs memory by its length, and a damaged heap may claim any. Where blocks begin too far
// from each other to pay for that, the grid is cut; blocks alone in a part need none.
constexpr uint64_t kSparse = uint64_t{64} << 10;  // bytes from one begin to the next

bool is_worth_its_memory(const GridRows& rows) {
  return rows.grid.size() / kSparse <= rows.last - rows.first;
}

void add_dense_parts(std::span<const Block> blocks, const GridRows& rows,
                     std::vector<GridRows>& parts) {
  for (size_t first = rows.first; first < rows.last;) {
    size_t last = first + 1;
    while (last < rows.last && blocks[last].begin() - blocks[last - 1].begin() <= kSparse) ++last;
    const AddrRange whole(blocks[first].begin(), blocks[last - 1].range().end());
    const bool is_sparse_end = blocks[last - 1].size() > kSparse;
    const size_t in_grid = is_sparse_end ? last - 1 : last;
    if (in_grid > first)
      parts.push_back({{whole.begin(), blocks[in_grid - 1].range().end()}, first, in_grid});
    first = last;
  }
}

void fill_words(std::span<const Block> blocks, const GridRows& rows, size_t begin, size_t end,
                BlockIndex::Word* words) {
  const Addr start = rows.grid.begin() + begin * BlockIndex::kBytesPerWord;
  size_t row = first_row_at_or_above(blocks, start);
  for (size_t w = begin; w < end; ++w) {
    const Addr word_begin = rows.grid.begin() + w * BlockIndex::kBytesPerWord;
    const Addr word_end = word_begin + BlockIndex::kBytesPerWord;
    BlockIndex::Word& word = words[w];
    word.before = static_cast<uint32_t>(row);
    for (; row < rows.last && blocks[row].begin() < word_end; ++row) {
      word.starts |= uint64_t{1} << ((blocks[row].begin() - word_begin) / 16);
    }
  }
}

// Where to cut the ranges so that each part is dense: before the ranges that follow the largest
// gaps.
std::vector<size_t> stretch_starts(const std::vector<BlockIndex::Range>& ranges) {
  std::vector<std::pair<uint64_t, size_t>> gaps;
  for (size_t i = 1; i < ranges.size(); ++i) {
    const uint64_t gap = Addr(ranges[i].begin) - Addr(ranges[i - 1].end);
    if (gap >= kSmallestGap) gaps.emplace_back(gap, i);
  }
  std::sort(gaps.rbegin(), gaps.rend());
  if (gaps.size() > BlockIndex::kStretches - 1) gaps.resize(BlockIndex::kStretches - 1);
  std::vector<size_t> starts = {0};
  for (const auto& [gap, at] : gaps) starts.push_back(at);
  std::sort(starts.begin(), starts.end());
  return starts;
}

}  // namespace

BlockIndex::BlockIndex(std::span<const Block> blocks, std::span<const AddrRange> grids) {
  std::vector<GridRows> grid_rows;
  uint64_t word_count = 0;
  for (AddrRange grid : grids) {
    HS_CHECK(grid.begin().is_aligned(16));
    const size_t first = first_row_at_or_above(blocks, grid.begin());
    const size_t last = first_row_at_or_above(blocks, grid.end());
    // In a heap that is damaged at its end, the last block's last word may lie behind it.
    if (last > first) grid = {grid.begin(), std::max(grid.end(), blocks[last - 1].range().end())};
    const GridRows rows{grid, first, last};
    if (is_worth_its_memory(rows)) {
      grid_rows.push_back(rows);
    } else {
      add_dense_parts(blocks, rows, grid_rows);
    }
  }
  for (const GridRows& rows : grid_rows) word_count += words_of(rows.grid);

  size_t row = 0;
  uint64_t next_word = 0;
  auto add_single_blocks = [&](size_t up_to) {
    for (; row < up_to; ++row) {
      const AddrRange range = blocks[row].range();
      if (range.empty()) continue;
      ranges_.push_back(
          {range.begin().value, range.end().value, kNoGrid, static_cast<uint32_t>(row), 1});
    }
  };
  for (const GridRows& rows : grid_rows) {
    add_single_blocks(rows.first);
    ranges_.push_back({rows.grid.begin().value, rows.grid.end().value, next_word,
                       static_cast<uint32_t>(rows.first),
                       static_cast<uint32_t>(rows.last - rows.first)});
    next_word += words_of(rows.grid);
    row = rows.last;
  }
  add_single_blocks(blocks.size());

  words_ = GrowingArray<Word>(word_count);
  words_.resize(word_count);
  Word* words = words_.data();
  for (const GridRows& rows : grid_rows) {
    parallel_for_pieces(words_of(rows.grid), kWordsPerPiece, [&](size_t begin, size_t end) {
      fill_words(blocks, rows, begin, end, words);
    });
    words += words_of(rows.grid);
  }

  if (ranges_.empty()) return;
  const std::vector<size_t> starts = stretch_starts(ranges_);
  for (size_t s = 0; s < starts.size(); ++s) {
    const size_t last = s + 1 < starts.size() ? starts[s + 1] : ranges_.size();
    Stretch stretch{ranges_[starts[s]].begin, ranges_[last - 1].end - ranges_[starts[s]].begin,
                    windows_.size(), kSmallestShift};
    while ((stretch.size >> stretch.shift) >= kMostWindows) ++stretch.shift;
    // One window more than needed: range_at() looks at the next one to bound its search.
    const uint64_t windows = (stretch.size >> stretch.shift) + 2;
    size_t range = starts[s];
    for (uint64_t w = 0; w < windows; ++w) {
      const uint64_t window_begin = stretch.begin + (w << stretch.shift);
      while (range < last && ranges_[range].end <= window_begin) ++range;
      windows_.push_back(static_cast<uint32_t>(range));
    }
    stretches_.push_back(stretch);
  }
}

}  // namespace heapscan

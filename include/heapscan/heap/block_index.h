// Which block does an address lie in? Answered in constant time for arena heaps of any size.
//
// Made once by its constructor from the finished block table. Arena heaps ("grids") are covered by
// one bit per 16 bytes, set where a block begins, with the number of blocks before every 1 KiB: the
// block at or below an address is a popcount away. Chunks with a mapping of their own and raw
// mappings are ranges of one block each. A range is found through a table of windows over each
// stretch of address space that holds heaps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/block.h"

namespace heapscan {

class BlockIndex {
 public:
  // A stretch of memory in which blocks are found by address.
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t first_word =
        0;  // of a grid: its first entry in words(); kNoGrid for a range of one block
    uint32_t first_block = 0;  // the first block that begins in the range
    uint32_t blocks = 0;
  };
  static constexpr uint64_t kNoGrid = ~uint64_t{0};
  static constexpr uint64_t kBytesPerWord = 1024;
  struct __attribute__((packed, aligned(4))) Word {
    uint64_t starts = 0;  // bit i: a block begins at the word's address + 16 * i
    uint32_t before = 0;  // blocks of the table that begin below the word's address
  };
  static_assert(sizeof(Word) == 12);

  // The least stretches of address space that hold every range, largest gaps left out: a word that
  // lies in none of them points at no block. At most kStretches of them.
  static constexpr size_t kStretches = 4;
  struct Stretch {
    uint64_t begin = 0;
    uint64_t size = 0;
    uint64_t first_window = 0;
    uint32_t shift = 0;  // log2 of a window's bytes
  };

  BlockIndex() = default;
  // `blocks`: sorted by address, disjoint. `grids`: sorted, disjoint; blocks in them begin at
  // multiples of 16. Blocks outside every grid become ranges of their own.
  BlockIndex(std::span<const Block> blocks, std::span<const AddrRange> grids);

  // The index of the range that holds `address`, or kNoRange.
  static constexpr uint32_t kNoRange = ~uint32_t{0};
  [[nodiscard]] uint32_t range_at(uint64_t address) const {
    for (const Stretch& stretch : stretches_) {
      const uint64_t offset = address - stretch.begin;
      if (offset < stretch.size) return range_in(stretch, offset, address);
    }
    return kNoRange;
  }
  // Whether `address` lies in a stretch.
  [[nodiscard]] bool is_near(uint64_t address) const {
    for (const Stretch& stretch : stretches_) {
      if (address - stretch.begin < stretch.size) return true;
    }
    return false;
  }
  // As range_at(), once it is known that `address` lies `offset` bytes into `stretch`.
  [[nodiscard]] uint32_t range_in(const Stretch& stretch, uint64_t offset, uint64_t address) const {
    const uint32_t* const window =
        windows_.data() + stretch.first_window + (offset >> stretch.shift);
    uint32_t low = window[0];   // the first range that ends above the window's begin
    uint32_t high = window[1];  // the answer is not above this one
    while (low < high) {
      const uint32_t middle = low + (high - low) / 2;
      if (ranges_[middle].end <= address) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < ranges_.size() && ranges_[low].begin <= address ? low : kNoRange;
  }
  // Fetches what block_before() needs for `address`, which lies in `range`: come back later.
  void prefetch(const Range& range, uint64_t address) const {
    if (range.first_word != kNoGrid) __builtin_prefetch(word_for(range, address));
  }
  // Where a grid keeps what is known of the memory around `address`.
  [[nodiscard]] const Word* word_for(const Range& grid, uint64_t address) const {
    return words_.data() + grid.first_word + (address - grid.begin) / kBytesPerWord;
  }
  // The last block that begins at or below `address`, which lies in `range`; none when there is
  // none in the range.
  [[nodiscard]] BlockId block_before(const Range& range, uint64_t address) const {
    if (range.first_word == kNoGrid) return BlockId(range.first_block);
    const Word& word = *word_for(range, address);
    const uint64_t bit = (address - range.begin) % kBytesPerWord / 16;
    const uint64_t up_to = word.starts & (~uint64_t{0} >> (63 - bit));
    const uint64_t index = uint64_t{word.before} + count_bits(up_to);
    return index > range.first_block ? BlockId(index - 1) : BlockId::none();
  }
  [[nodiscard]] std::span<const Range> ranges() const { return ranges_; }

  [[nodiscard]] std::span<const Stretch> stretches() const { return stretches_; }

 private:
  std::vector<Stretch> stretches_;
  std::vector<uint32_t> windows_;  // first range that ends above the window's begin
  // Sorted; disjoint, but that a damaged heap's last block may end within the header at the begin
  // of the next range.
  std::vector<Range> ranges_;
  GrowingArray<Word> words_;
};

}  // namespace heapscan

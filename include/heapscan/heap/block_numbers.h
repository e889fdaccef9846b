// Counts the blocks of a bitmap, so that columns need rows only for those blocks: a block's number
// is how many blocks of the bitmap lie below it. Costs one bit and half a byte per 8 blocks of the
// heap, and constant time.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/heap/block_bitmap.h"

namespace heapscan {

// Refers to the bitmap, which must outlive it and stay as it is.
class BlockNumbers {
 public:
  explicit BlockNumbers(const BlockBitmap& bitmap) : bitmap_(bitmap), before_(bitmap.word_count()) {
    uint32_t count = 0;
    for (size_t i = 0; i < before_.size(); ++i) {
      before_[i] = count;
      count += count_bits(bitmap_.word(i));
    }
  }
  [[nodiscard]] bool has(BlockId id) const { return bitmap_.test(id); }
  // Of a block of the bitmap.
  [[nodiscard]] uint32_t number_of(BlockId id) const {
    const uint64_t below = bitmap_.word(id.index() / 64) & ((uint64_t{1} << (id.index() % 64)) - 1);
    return before_[id.index() / 64] + count_bits(below);
  }
  void prefetch(BlockId id) const {
    bitmap_.prefetch(id);
    __builtin_prefetch(&before_[id.index() / 64]);
  }

 private:
  const BlockBitmap& bitmap_;
  std::vector<uint32_t> before_;
};

}  // namespace heapscan

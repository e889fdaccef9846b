// One bit per block, set and cleared by many threads at once.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"

namespace heapscan {

class BlockBitmap {
 public:
  explicit BlockBitmap(size_t blocks) : words_(blocks / 64 + 1) { words_.resize(blocks / 64 + 1); }
  BlockBitmap(const BlockBitmap& other) : BlockBitmap(other.words_.size() * 64 - 64) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] = other.words_[i];
  }
  BlockBitmap(BlockBitmap&&) = default;
  BlockBitmap& operator=(BlockBitmap&&) = default;

  [[nodiscard]] bool test(BlockId id) const {
    return (std::atomic_ref(words_[id.index() / 64]).load(std::memory_order_relaxed) & bit(id)) !=
           0;
  }
  void set(BlockId id) {
    std::atomic_ref(words_[id.index() / 64]).fetch_or(bit(id), std::memory_order_relaxed);
  }
  // Clears the bit; true for the one caller that found it set.
  bool claim(BlockId id) {
    return (std::atomic_ref(words_[id.index() / 64])
                .fetch_and(~bit(id), std::memory_order_relaxed) &
            bit(id)) != 0;
  }
  void prefetch(BlockId id) const { __builtin_prefetch(&words_[id.index() / 64]); }

  [[nodiscard]] uint64_t count() const {
    uint64_t total = 0;
    for (const uint64_t word : words_) total += static_cast<uint64_t>(std::popcount(word));
    return total;
  }
  [[nodiscard]] bool any() const {
    for (const uint64_t word : words_) {
      if (word != 0) return true;
    }
    return false;
  }
  // Calls f(BlockId) for each set bit, in ascending order.
  template <typename F>
  void for_each(F&& f) const {
    for (size_t i = 0; i < words_.size(); ++i) {
      for (uint64_t rest = words_[i]; rest != 0; rest &= rest - 1) {
        f(BlockId(i * 64 + static_cast<size_t>(std::countr_zero(rest))));
      }
    }
  }
  [[nodiscard]] size_t word_count() const { return words_.size(); }
  [[nodiscard]] uint64_t word(size_t i) const {
    return std::atomic_ref(words_[i]).load(std::memory_order_relaxed);
  }
  void set_word(size_t i, uint64_t value) {
    std::atomic_ref(words_[i]).store(value, std::memory_order_relaxed);
  }

 private:
  static uint64_t bit(BlockId id) { return uint64_t{1} << (id.index() % 64); }
  mutable GrowingArray<uint64_t> words_;
};

// The blocks of `a` that are not in `b`, and those that are; of one heap.

[[nodiscard]] inline BlockBitmap without(const BlockBitmap& a, const BlockBitmap& b) {
  BlockBitmap result(a);
  for (size_t i = 0; i < a.word_count(); ++i) result.set_word(i, a.word(i) & ~b.word(i));
  return result;
}
[[nodiscard]] inline BlockBitmap intersection(const BlockBitmap& a, const BlockBitmap& b) {
  BlockBitmap result(a);
  for (size_t i = 0; i < a.word_count(); ++i) result.set_word(i, a.word(i) & b.word(i));
  return result;
}

// ---- columns for some blocks only ---------------------------------------------------------------

// Counts the blocks of a bitmap, so that columns need rows only for those blocks: a block's number
// is how many blocks of the bitmap lie below it. Costs one bit and half a byte per 8 blocks of the
// heap, and constant time.

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

// One bit per block, set and cleared by many threads at once.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

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

}  // namespace heapscan

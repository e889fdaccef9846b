// Which words of the heap's own memory can be pointers into the heap: one bit per aligned word, one
// sixty-fourth of the memory it tells of.
//
// Made once when the heap has been walked. Whoever follows pointers afterwards, and most stages do,
// asks this instead of reading all memory again, and never touches a block that has none. A set bit
// means only that the word lies in a stretch of address space that holds heaps: whether a block is
// there, the index says.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "heapscan/base/growing_array.h"
#include "heapscan/base/vectors.h"
#include "heapscan/heap/block_index.h"
#include "heapscan/image/image.h"

namespace heapscan {

class PointerWords {
 public:
  PointerWords() = default;
  // Knows the grids of `index`, but none that does not begin at a multiple of 8. Words of which
  // nothing is saved are none.
  PointerWords(const MemoryImage& image, const BlockIndex& index,
               Vectors vectors = widest_vectors());

  [[nodiscard]] bool knows(uint32_t range) const {
    return range < range_.size() && range_[range].first_bit != kUnknown;
  }
  // Calls f(offset) for each such word of the `bytes` bytes at `address`, a multiple of 8 in
  // `range`, which is known. Offsets are from `address`, ascending.
  template <typename F>
  void for_each(uint32_t range, uint64_t address, uint64_t bytes, F&& f) const {
    const uint64_t first = bit_of(range, address);
    const uint64_t end = first + bytes / 8;
    for (uint64_t word = first / 64; word * 64 < end; ++word) {
      for (uint64_t rest = bits_in(word, first, end); rest != 0; rest &= rest - 1)
        f((word * 64 + static_cast<unsigned>(std::countr_zero(rest)) - first) * 8);
    }
  }
  // How many calls that would be.
  [[nodiscard]] uint64_t count(uint32_t range, uint64_t address, uint64_t bytes) const {
    const uint64_t first = bit_of(range, address);
    const uint64_t end = first + bytes / 8;
    uint64_t total = 0;
    for (uint64_t word = first / 64; word * 64 < end; ++word)
      total += count_bits(bits_in(word, first, end));
    return total;
  }
  // Whether there would be any.
  [[nodiscard]] bool any(uint32_t range, uint64_t address, uint64_t bytes) const {
    const uint64_t first = bit_of(range, address);
    const uint64_t end = first + bytes / 8;
    for (uint64_t word = first / 64; word * 64 < end; ++word) {
      if (bits_in(word, first, end) != 0) return true;
    }
    return false;
  }

 private:
  static constexpr uint64_t kUnknown = ~uint64_t{0};
  struct Range {
    uint64_t begin = 0;
    uint64_t first_bit = kUnknown;
  };

  [[nodiscard]] uint64_t bit_of(uint32_t range, uint64_t address) const {
    return range_[range].first_bit + (address - range_[range].begin) / 8;
  }
  // Of word `word`, those of bits [first, end).
  [[nodiscard]] uint64_t bits_in(uint64_t word, uint64_t first, uint64_t end) const {
    uint64_t bits = bits_[word];
    if (word == first / 64) bits &= ~uint64_t{0} << first % 64;
    if (word == end / 64) bits &= (uint64_t{1} << end % 64) - 1;
    return bits;
  }

  std::vector<Range> range_;  // as in the index
  GrowingArray<uint64_t> bits_;
};

}  // namespace heapscan

// Counting bits.
#pragma once

#include <cstdint>

namespace heapscan {

// The number of bits set. std::popcount is a call into a table lookup on processors that need not
// have the instruction.
[[nodiscard]] constexpr uint32_t count_bits(uint64_t word) {
  word -= word >> 1 & 0x5555555555555555;
  word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<uint32_t>(word * 0x0101010101010101 >> 56);
}

}  // namespace heapscan

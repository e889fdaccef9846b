// What address a word stands for whose spare bits carry something else.
//
// Nothing that a program can map lies above 2^47, and malloc's blocks begin at multiples of 16. So
// programs keep a counter, a mark or a type in the bits from 47 or 48 up (lock-free queues, LuaJIT,
// JavaScript engines), flags in the lowest three, or both. glibc's timer_t of a timer that starts a
// thread is its block's address shifted right by one, with the top bit set.
#pragma once

#include <array>
#include <cstdint>

namespace heapscan {

constexpr uint64_t kAddressBits = 47;
constexpr uint64_t kPlainMask = (uint64_t{1} << kAddressBits) - 1;
constexpr uint64_t kLowTags = 7;

[[nodiscard]] constexpr bool has_high_tags(uint64_t word) { return word > kPlainMask; }

// The two readings of a word with tags in its high bits; the second is null where there is none.
[[nodiscard]] constexpr std::array<uint64_t, 2> readings_of_tagged(uint64_t word) {
  const bool may_be_timer = word >> kAddressBits == uint64_t{1} << (63 - kAddressBits);
  return {word & kPlainMask & ~kLowTags, may_be_timer ? word << 1 & kPlainMask : 0};
}

}  // namespace heapscan

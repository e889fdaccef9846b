// How a buffer of std::pmr::monotonic_buffer_resource ends: {its size, with its alignment in the low
// bits, the buffer before}. The resource and the next buffer point there.
//
// Source: libstdc++ src/c++17/memory_resource.cc, GCC 9 to 14.
#pragma once

#include <cstdint>

namespace heapscan {

struct BufferEnd {
  static constexpr uint64_t kBefore = 8;  // where the buffer before is
  static constexpr uint64_t kBytes = 16;
  // Of the whole buffer, its end included.
  [[nodiscard]] static constexpr uint64_t size_in(uint64_t word) { return word & ~uint64_t{63}; }
};

}  // namespace heapscan

// Where a number, or some bytes, occur in all of the memory that was saved.
//
// Read as it lies there, from the lowest address to the highest; the answer is the same for every
// number of threads. Memory that is known to be zero without having been touched is not searched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/image/image.h"

namespace heapscan {

struct Hits {
  std::vector<Addr> first;  // the lowest ones, sorted
  uint64_t total = 0;       // all of them
};

// Numbers of `width` bytes (1, 2, 4 or 8), little-endian at multiples of their width, from `least`
// to `greatest`. `most`: how many to keep.
[[nodiscard]] Hits find_numbers(const MemoryImage& image, uint64_t least, uint64_t greatest,
                                size_t width, size_t most);

// `wanted` at any address; occurrences may overlap. None of an empty one.
[[nodiscard]] Hits find_bytes(const MemoryImage& image, Bytes wanted, size_t most);

}  // namespace heapscan

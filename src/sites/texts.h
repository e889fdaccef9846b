// Whether blocks hold text, and whether that fills them as a copy of just that text does.
#pragma once

#include <cstdint>
#include <vector>

#include "sites/written_fields.h"

namespace heapscan {

// What samples of a cluster say. A text is printable from the first byte on, or UTF-8, and ends with a
// zero in the block.
struct Texts {
  std::vector<uint64_t> lengths;  // bytes, without the zero; of those that are text
  std::vector<uint64_t> sizes;    // of the blocks that these lie in
  uint32_t asked = 0;             // samples that are saved

  // Nearly all are.
  [[nodiscard]] bool are_all() const { return asked != 0 && lengths.size() * 10 >= asked * 9; }
};

[[nodiscard]] Texts texts_in(const std::vector<BlockBytes>& samples);

// Of the texts that are too long for the smallest of blocks, how many lie in a block of just the size
// that malloc gives for their length and `more` bytes.
[[nodiscard]] Share share_that_fits(const Texts& texts, uint64_t more);

}  // namespace heapscan

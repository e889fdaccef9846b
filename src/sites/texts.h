// Whether blocks hold text, and whether that fills them as a copy of just that text does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sites/written_fields.h"

namespace heapscan {

// What samples of a cluster say. A text is printable ASCII from the first byte on and ends with a zero in the
// block; a short one counts only where it takes as much as the block has, which in the smallest any does.
struct Texts {
  std::vector<uint64_t> lengths;  // bytes, without the zero; of those that are text
  std::vector<uint64_t> sizes;    // of the blocks that these lie in
  size_t different = 0;           // of them
  uint32_t asked = 0;             // samples that are saved

  // Nearly all are, and they differ: a few small numbers again and again look like letters, too.
  [[nodiscard]] bool are_all() const {
    return asked != 0 && lengths.size() * 10 >= asked * 9 && different * 4 >= lengths.size();
  }
};

[[nodiscard]] Texts texts_in(const std::vector<BlockBytes>& samples);

// Of the texts that are too long for the smallest of blocks, how many lie in a block of just the size
// that malloc gives for their length and `more` bytes.
[[nodiscard]] Share share_that_fits(const Texts& texts, uint64_t more);

}  // namespace heapscan

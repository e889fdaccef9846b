// Blocks of equal signatures as groups.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "heapscan/base/growing_array.h"

namespace heapscan {

struct SignatureGroup {
  uint64_t signature = 0;
  uint32_t blocks = 0;
  uint32_t example = 0;  // number of the first block

  // Its blocks differ in identities.
  [[nodiscard]] bool is_rest() const { return (signature & 0xffffffff) == 0; }
};

// Replaces every signature in `column` by the index of its group. Programs whose blocks differ in
// every way have as many signatures as blocks: when there are too many, of those that differ in
// identities only the later ones become one group, and beyond `most` groups all blocks for which
// `rest_of(number)` is the same.
[[nodiscard]] std::vector<SignatureGroup> group_equal(
    GrowingArray<uint64_t>& column, size_t most, const std::function<uint64_t(uint32_t)>& rest_of);

}  // namespace heapscan

// A hash of what a heap block contained, for snapshots that leave contents out: two looks at one
// process can still tell whether the block was written to in between.
#pragma once

#include <cstdint>

#include "heapscan/base/addr.h"

namespace heapscan {

struct BlockHash {
  Addr address;  // as malloc returned it
  uint64_t hash = 0;
  constexpr bool operator==(const BlockHash&) const = default;
};

}  // namespace heapscan

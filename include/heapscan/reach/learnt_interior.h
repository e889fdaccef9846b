// Interior pointers that trace() learnt to take for start pointers in this very process.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/id.h"

namespace heapscan {

// Blocks of one size that are all held at the same offset: the hooks of an intrusive list or tree.
struct LinkClass {
  uint64_t size = 0;
  uint64_t offset = 0;
  constexpr auto operator<=>(const LinkClass&) const = default;
};

// What stands in front of what the program points at, in blocks of any size.
struct LearntHeader {
  struct Mark {
    uint32_t at = 0;
    uint32_t value = 0;
    constexpr auto operator<=>(const Mark&) const = default;
  };
  uint64_t offset = 0;      // its length
  std::vector<Mark> marks;  // that all of its kind have; none when many sizes prove the header
  auto operator<=>(const LearntHeader&) const = default;
};

struct LearntInterior {
  std::vector<LinkClass> links;       // sorted
  std::vector<LearntHeader> headers;  // sorted
  // Blocks that are reachable although no single pointer proves it: pools, what live slots of stale
  // stores name, what begins a reservation. Sorted.
  std::vector<BlockId> blocks;
};

}  // namespace heapscan

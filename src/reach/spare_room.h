// The room that arrays and strings have left: words behind the end of what is in use, which nobody
// cleared.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/roots.h"
#include "heapscan/reach/stale_stores.h"

namespace heapscan {

// A block part of which is spare, as its owner says.
struct SpareRoom {
  BlockId block;
  AddrRange range;        // spare, but for the first element: an owner may count from there
  Addr owner;             // where the words lie that say so
  uint64_t used_end = 0;  // an address
  StaleStore::Kind kind = StaleStore::Kind::BehindEnd;
  uint64_t words = 0;     // pointers among those in `range`
  uint64_t dangling = 0;  // of those: lead to freed memory, or into the middle of blocks
};

// Sorted by block, at most one of each; those in which there is no pointer are left out. One pass
// over blocks and roots. `arrays`: blocks that it knows of are left to it.
[[nodiscard]] std::vector<SpareRoom> find_spare_rooms(const MemoryImage& image,
                                                      const HeapModel& heap,
                                                      const BlockMemory& memory, const Roots& roots,
                                                      const StaleStores& arrays);

// For each of `rooms` (sorted by block) whether anything but its owner points to its spare part, or,
// from a block or a variable, to its block: then the owner may not be the owner any more. One pass
// over blocks and roots.
[[nodiscard]] std::vector<bool> find_disputed(const MemoryImage& image, const HeapModel& heap,
                                              const BlockMemory& memory, const Roots& roots,
                                              std::span<const SpareRoom> rooms);

}  // namespace heapscan

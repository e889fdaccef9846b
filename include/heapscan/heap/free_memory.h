// Memory that malloc keeps though nobody uses it, by arena: how much of it can go back to the
// system, and which blocks keep the rest.
//
// Made by find_free_memory() from a finished block table. free() gives back only what lies at the end
// of an arena's newest heap: a used block keeps all that is free below it. malloc_trim() gives back
// whole pages anywhere, but for the ends of arenas other than the main one. Facts: glibc
// malloc/malloc.c (systrim, mtrim), malloc/arena.c (heap_trim), 2.17 to 2.43.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Freed blocks side by side, with something in use above them.
struct FreeStretch {
  Addr begin;                 // of the first block
  uint64_t bytes = 0;         // from there to the block above
  uint64_t page_bytes = 0;    // see ArenaFree
  BlockId pin;                // the block above; none: the heap ends there, and others follow
  uint64_t above_blocks = 0;  // in use between the stretch and the end of the heap
  uint64_t above_bytes = 0;
};

struct ArenaFree {
  uint64_t used_bytes = 0;
  uint64_t free_bytes = 0;  // freed blocks and what was never handed out
  uint64_t end_bytes = 0;   // of that, whole pages at the end, which free() can give back
  uint64_t page_bytes = 0;  // whole pages that malloc_trim() would give back; where residency is
                            // known, only what is resident
  BlockId last;             // the last block in use, where it lies in front of the end
  std::vector<FreeStretch> stretches;  // the largest, largest first; what lies at the end is none
  static constexpr size_t kStretches = 3;
};

struct FreeMemory {
  Column<ArenaId, ArenaFree> arenas;
  uint64_t used_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t page_bytes = 0;

  // So much is free that a person asks why: a mebibyte or more, and a quarter of what is in use.
  [[nodiscard]] bool is_large() const {
    return free_bytes >= (uint64_t{1} << 20) && 4 * free_bytes >= used_bytes;
  }
  // The blocks in use that keep free memory from going back. Sorted.
  [[nodiscard]] std::vector<BlockId> pins() const;
};

[[nodiscard]] FreeMemory find_free_memory(const MemoryImage& image, const HeapModel& heap);

// Whole pages of a freed block or of what was never handed out that malloc_trim() gives back.
[[nodiscard]] AddrRange trimmable_pages(const Block& block, const std::vector<Arena>& arenas);

}  // namespace heapscan

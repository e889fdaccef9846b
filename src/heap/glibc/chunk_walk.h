// Walks the chunks of one heap area from the first to the last and writes a row of the block table
// for each.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heap/glibc/damage_log.h"
#include "heap/glibc/heap_area.h"
#include "heapscan/base/addr.h"
#include "heapscan/heap/block.h"
#include "heapscan/image/image.h"

namespace heapscan::glibc {

// Adds up to the same value for the same set of addresses in any order: a way to see that every
// free chunk is named exactly once by its neighbours in the bins without following the lists
// through memory.
struct FreeChunkSums {
  uint64_t chunks = 0;
  uint64_t bytes = 0;
  uint64_t self = 0;
  uint64_t forward = 0;   // of fd
  uint64_t backward = 0;  // of bk

  [[nodiscard]] static uint64_t mixed(uint64_t address);
  void add(uint64_t chunk, uint64_t size, uint64_t fd, uint64_t bk);
  void add(const FreeChunkSums& other);
};

struct AreaWalk {
  size_t rows = 0;  // written
  std::vector<AddrRange>
      ranges;  // what of the area is heap: more than one when somebody else moved the break
  std::vector<AddrRange> damaged;  // between blocks
  FreeChunkSums free;
  uint64_t tolerated = 0;         // half states that a stop inside malloc explains
  uint64_t unreadable_bytes = 0;  // of damaged: never saved
  DamageLog damage;
};

// `rows` has room for every chunk that can be there. `in_flux`: the process may have been stopped
// inside malloc.
[[nodiscard]] AreaWalk walk_chunks(const MemoryImage& image, const HeapArea& area, bool in_flux,
                                   std::span<Block> rows);

// The most chunks there can be in `range`.
[[nodiscard]] uint64_t most_chunks(const MemoryImage& image, AddrRange range);

}  // namespace heapscan::glibc

// Chunks: how glibc lays them out, and the walk from one to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "heap/glibc/damage_log.h"
#include "heapscan/base/addr.h"
#include "heapscan/heap/block.h"
#include "heapscan/image/image.h"

namespace heapscan::glibc {

// ---- layout -------------------------------------------------------------------------------------

// A chunk as glibc lays it out on x86-64: two words of header, then what malloc returned.
//
//   p + 0    prev_size: size of the chunk before, valid only when that one is free
//   p + 8    size, a multiple of 16, with three flags in its low bits
//   p + 16   what malloc returned; fd and bk while the chunk is in a bin
//
// Facts: glibc malloc/malloc.c, 2.17 to 2.43.

constexpr uint64_t kPrevInUse = 1;  // the chunk before this one is not free
constexpr uint64_t kIsMmapped = 2;  // the chunk is a mapping of its own
constexpr uint64_t kNonMainArena =
    4;  // the chunk was handed out by an arena other than the main one
constexpr uint64_t kFlagBits = 7;

constexpr uint64_t kAlignment = 16;
constexpr uint64_t kMinSize = 32;    // of a chunk
constexpr uint64_t kHeader = 16;     // from a chunk to what malloc returned
constexpr uint64_t kFenceSize = 16;  // of the two headers that end a heap for good

constexpr uint64_t kBins = 127;     // bin 1 (unsorted) is the first
constexpr uint64_t kBinBytes = 16;  // fd and bk

[[nodiscard]] constexpr uint64_t size_of(uint64_t size_word) { return size_word & ~kFlagBits; }

// Usable bytes of a chunk inside a heap: the prev_size of the next one belongs to it.
[[nodiscard]] constexpr uint64_t usable_of(uint64_t chunk_size) { return chunk_size - 8; }
[[nodiscard]] constexpr uint64_t chunk_size_of_usable(uint64_t usable) { return usable + 8; }

// Which bin a free chunk of this size is sorted into.
[[nodiscard]] constexpr size_t bin_of(uint64_t size) {
  if (size < 0x400) return size >> 4;
  if ((size >> 6) <= 48) return 48 + (size >> 6);
  if ((size >> 9) <= 20) return 91 + (size >> 9);
  if ((size >> 12) <= 10) return 110 + (size >> 12);
  if ((size >> 15) <= 4) return 119 + (size >> 15);
  if ((size >> 18) <= 2) return 124 + (size >> 18);
  return 126;
}
constexpr size_t kUnsortedBin = 1;
constexpr size_t kFirstLargeBin = 64;

// Where the header of `bin` would begin if it were a chunk: what an empty bin's fd and bk point at.
[[nodiscard]] constexpr uint64_t bin_header(uint64_t bins, size_t bin) {
  return bins + (bin - 1) * kBinBytes - kHeader;
}

// ---- a stretch of memory that one arena parcels out, before it is walked ------------------------

struct HeapArea {
  AddrRange range;       // from the first chunk to the end of what the arena uses
  uint32_t arena = 0;    // index into the arenas found
  bool is_main = false;  // of a main arena: its chunks do not carry kNonMainArena
  Addr top;              // null: the arena's top chunk lies elsewhere
};

// ---- the walk -----------------------------------------------------------------------------------

// Walks the chunks of one heap area from the first to the last and writes a row of the block table
// for each.

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

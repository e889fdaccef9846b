// A chunk as glibc lays it out on x86-64: two words of header, then what malloc returned.
//
//   p + 0    prev_size: size of the chunk before, valid only when that one is free
//   p + 8    size, a multiple of 16, with three flags in its low bits
//   p + 16   what malloc returned; fd and bk while the chunk is in a bin
//
// Facts: glibc malloc/malloc.c, 2.17 to 2.43.
#pragma once

#include <cstddef>
#include <cstdint>

namespace heapscan::glibc {

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

}  // namespace heapscan::glibc

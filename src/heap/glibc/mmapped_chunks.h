// Chunks with a mapping of their own, and which of the places that look like one are such chunks.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan::glibc {

struct MmappedChunk {
  AddrRange mapping;
  AddrRange block;  // what malloc returned
};

struct MmappedChunks {
  std::vector<MmappedChunk> chunks;  // sorted, disjoint
  uint64_t bytes = 0;                // of their mappings
  uint64_t trailer =
      0;  // the layout that won: bytes of a mapping beyond its chunk's size (16 from 2.43)
};

// What malloc itself counts.
struct MmappedTotal {
  uint64_t count = 0;
  uint64_t bytes = 0;  // of their mappings
};

struct MmappedCandidate {
  MmappedChunk chunk;
  bool writable = false;  // readable and writable from end to end, in one piece
  // Whether a mapping must begin or end there: at the edge of memory of one kind.
  bool at_edge = false;
  bool to_edge = false;
  bool is_referenced = false;  // a word somewhere in memory leads to its block
};

// `candidates` that do not overlap, as many and as long as malloc says (`total.bytes` up to
// `tolerance` away); of several such sets the most likely. Nothing when there is none, or too many
// are to be looked at.
[[nodiscard]] std::optional<std::vector<MmappedChunk>> choose_mmapped(
    std::vector<MmappedCandidate> candidates, MmappedTotal total, uint64_t tolerance);

// Within `free` (sorted, disjoint: raw memory that nothing else explains). `expected`: what there
// should be, or nothing; `likely_trailer`: which layout to believe when the chunks found do not
// tell.
[[nodiscard]] MmappedChunks find_mmapped_chunks(const MemoryImage& image,
                                                const std::vector<AddrRange>& free,
                                                std::optional<MmappedTotal> expected,
                                                uint64_t likely_trailer);

}  // namespace heapscan::glibc

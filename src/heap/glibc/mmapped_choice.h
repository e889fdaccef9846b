// Which of the places that look like a chunk with a mapping of its own are such chunks.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heap/glibc/mmapped_chunks.h"

namespace heapscan::glibc {

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

}  // namespace heapscan::glibc

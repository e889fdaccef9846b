// What a snapshot's file consists of, and where. Pure: an image in, headers and pieces out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/acquire/snapshot.h"

namespace heapscan {

// Bytes of memory at a place in the file, still in the image.
struct SnapshotPiece {
  uint64_t offset = 0;
  Addr at;
  Bytes bytes;
};

struct SnapshotLayout {
  std::vector<std::byte> head;        // headers and notes: what the file begins with
  std::vector<SnapshotPiece> pieces;  // ascending, disjoint; whatever lies between is zero
  uint64_t file_size = 0;
  uint64_t piece_bytes = 0;  // of all pieces
};

// The pieces point into the image. What `content` changes of their bytes is still to be changed.
[[nodiscard]] SnapshotLayout lay_out_snapshot(const Capture& capture, const ContentRules& content,
                                              const std::string& host);

// Whether each of the bytes is zero.
[[nodiscard]] bool all_zero(Bytes bytes);

}  // namespace heapscan

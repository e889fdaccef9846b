// From an image to a snapshot's file: the note of our own, the notes that other programs read, and
// what lies where.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/acquire/snapshot.h"
#include "heapscan/base/bytes.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/image/image.h"

namespace heapscan {

// ---- our own note -------------------------------------------------------------------------------

// The HEAPSCAN note of a snapshot: what the live image knows and the rest of an ELF core cannot
// say. Pure: values in, bytes out, and back. The format is in docs/snapshot-format.md.

inline constexpr std::string_view kSnapshotOwner = "HEAPSCAN";
inline constexpr uint32_t kSnapshotNote = 1;  // n_type
inline constexpr uint32_t kSnapshotVersion = 1;

struct SnapshotFacts {
  CaptureFacts capture;
  std::vector<std::pair<std::string, double>> pause_parts;
  std::string host;  // name of the machine; for people
  uint64_t missing_bytes = 0;
  std::vector<Region> regions;  // without bytes; sorted, disjoint, not empty
  std::vector<Module> modules;
  std::vector<Thread> threads;  // tid, name and has_registers only
  std::optional<std::vector<KernelReference>> kernel_references;
  std::optional<Residency> residency;
  // Stretches of Saved regions that may hold anything but zero; sorted, disjoint.
  std::vector<AddrRange> populated;
  Notes notes;
  std::vector<BlockHash> hashes;  // sorted by address
};

// What of `image` and `capture` the note says; `populated` is left empty.
[[nodiscard]] SnapshotFacts snapshot_facts(const MemoryImage& image, const CaptureFacts& capture);

[[nodiscard]] std::vector<std::byte> encode_snapshot_facts(const SnapshotFacts& facts);

// Nothing, and why in `why` ("its list of regions is damaged"), when the bytes are not what
// encode_snapshot_facts() makes. What is returned keeps the invariants above; it may still lie.
[[nodiscard]] std::optional<SnapshotFacts> decode_snapshot_facts(Bytes bytes, std::string& why);

// ---- the notes of a snapshot that other programs read, as Linux writes them ---------------------

// Appends one note, padded to four bytes. `content` is shorter than 4 GiB.
void append_note(std::vector<std::byte>& out, std::string_view owner, uint32_t type, Bytes content);

// All notes: registers of threads, auxiliary vector, mapped files, and `facts` in ours.
[[nodiscard]] std::vector<std::byte> snapshot_notes(const MemoryImage& image,
                                                    const SnapshotFacts& facts,
                                                    const ContentRules& content);

// ---- the file -----------------------------------------------------------------------------------

// What a snapshot's file consists of, and where. Pure: an image in, headers and pieces out.

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

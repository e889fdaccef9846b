// The HEAPSCAN note of a snapshot: what the live image knows and the rest of an ELF core cannot
// say. Pure: values in, bytes out, and back. The format is in docs/snapshot-format.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/image/image.h"

namespace heapscan {

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

}  // namespace heapscan

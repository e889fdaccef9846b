// Writing a snapshot: a capture as an ELF core that gdb opens, and that load_core() makes the same
// image of again.
//
// Notes come before the memory, so that a file that was cut off can still be judged. Pages of zeros
// take no room. Format: ELF gABI ET_CORE, Linux's notes, and one of our own
// (docs/snapshot-format.md).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "heapscan/acquire/capture.h"
#include "heapscan/image/capture_facts.h"

namespace heapscan {

// What is left of the memory. With Content::Full nothing is changed and both functions are empty.
struct ContentRules {
  Content level = Content::Full;
  // Zeroes what is to be left out of `bytes`, a copy of memory at `at`; whole pages. Called by
  // several threads and twice for every page, with the same answer.
  std::function<void(Addr at, std::span<std::byte> bytes)> memory;
  // A register's word, or 0.
  std::function<uint64_t(uint64_t)> word;
  std::vector<BlockHash> hashes;  // sorted by address
};

struct SnapshotOptions {
  bool replace = false;  // a file of that name
  ContentRules content;
  std::function<void(uint64_t done, uint64_t all)> on_progress;  // bytes of memory; now and then
};

struct WrittenSnapshot {
  uint64_t memory_bytes = 0;  // that are not zero
  uint64_t file_bytes = 0;    // the file's size; more than it takes when it has holes
  uint64_t disk_bytes = 0;    // what it takes
};

// Throws Error (Acquire) when a snapshot could not be written to `path` for a reason that is known
// beforehand, so that no process is stopped in vain.
void check_snapshot_path(const std::string& path, bool replace);

// Writes `path`, packed by zstd when the name ends in ".zst": mode 0600, under its name only when it
// is whole and on the disk. SIGINT, SIGTERM and SIGHUP end the writing, leave no file, and do what
// they would have done. Throws Error (Acquire) naming cause and fix.
[[nodiscard]] WrittenSnapshot write_snapshot(const Capture& capture, const std::string& path,
                                             const SnapshotOptions& options);

}  // namespace heapscan

// A core as it lies in its file: what was saved of memory, and what its notes say. Nothing is
// interpreted yet.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acquire/module_map.h"
#include "acquire/snapshot_facts.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"

namespace heapscan {

inline constexpr Addr kVsyscall(0xffffffffff600000);

// One PT_LOAD. Its bytes in the core are the first `saved` of `range`; `promised` counts those that
// the headers speak of.
struct CoreLoad {
  AddrRange range;
  Perms perms;
  uint64_t offset = 0;
  uint64_t saved = 0;     // <= promised <= range.size()
  uint64_t promised = 0;  // more than `saved` when the file is cut off
};

struct CoreFile {
  Bytes bytes;
  std::vector<CoreLoad> loads;        // sorted, disjoint, not empty
  std::vector<Thread> threads;        // in the core's order
  std::vector<FileMapping> mappings;  // NT_FILE; sorted, disjoint; permissions from the loads
  std::vector<AuxEntry> aux;
  std::optional<int> pid;
  std::string command;
  std::optional<int> signal;
  bool by_gdb = false;                    // written by gcore: nothing killed the process
  bool has_files = false;                 // NT_FILE is there
  std::optional<SnapshotFacts> snapshot;  // heapscan wrote it, and what it says of it is sound
  // Bytes of what the notes should say of threads and files, and do not: at least so many.
  uint64_t missing_state = 0;
  Notes notes;

  [[nodiscard]] const CoreLoad* load_at(Addr a) const;
  // What the core holds of `range`, from its beginning on, as far as one load goes; may be empty.
  [[nodiscard]] Bytes saved_bytes(AddrRange range) const;
};

// Throws Error (Acquire) when `bytes` are no x86-64 core at all, or one without memory and threads.
[[nodiscard]] CoreFile read_core_file(Bytes bytes, const std::string& name);

// Fills threads, mappings, aux and the rest from the content of a PT_NOTE segment.
void read_core_notes(Bytes bytes, uint64_t align, CoreFile& core);

}  // namespace heapscan

// What all the memory of a process is used for: every mapped byte in one row.
//
// Made by account_memory(). Rows of heap memory are worked out from the block table, the others
// from what each mapping is. Resident bytes are known of a live process only; they add up to what
// the kernel counts as RSS.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/analysis/analysis.h"

namespace heapscan {

enum class MemoryUse : uint8_t {
  HeapInUse,       // malloc blocks that the program can reach, or may
  HeapLost,        // malloc blocks that it cannot
  HeapFree,        // free chunks and what was never handed out
  HeapOverhead,    // chunk headers, padding, the allocator's own blocks
  LostMappings,    // anonymous mappings that nothing reaches
  OtherAnonymous,  // all other private anonymous mappings
  Stacks,          // of threads, guards included
  ModuleData,      // writable segments of programs and libraries, and the loader's memory
  Code,            // the rest of programs and libraries
  Shared,          // shared anonymous memory: memfd, SysV and POSIX shared memory
  Files,           // mapped files
  Reserved,        // address space without access
};
constexpr size_t kMemoryUses = 12;
// "malloc in use", "stacks".
[[nodiscard]] const char* name_of(MemoryUse use);

struct MemoryUseRow {
  MemoryUse use = MemoryUse::HeapInUse;
  uint64_t mapped_bytes = 0;
  std::optional<uint64_t> resident_bytes;
};

// Who parcels out memory in pieces that malloc knows nothing of, and how to look into it.
struct MemoryManager {
  std::string name;  // "CPython's arenas"
  std::string hint;  // "PYTHONMALLOC=malloc shows what is in them"; may be empty
  MemoryUse use = MemoryUse::OtherAnonymous;  // of which part may be its own
  std::optional<uint64_t> bytes = {};         // where they can be told; resident, else mapped
};

struct MemoryAccount {
  std::vector<MemoryUseRow> rows;  // one per use, in their order
  MemoryUseRow total;              // `use` means nothing
  uint64_t swapped_bytes = 0;      // live only
  // Those that the process has, by its symbols, its modules and what is in its blocks; and what shared
  // memory and rings there are, by name.
  std::vector<MemoryManager> managers;

  [[nodiscard]] const MemoryUseRow& of(MemoryUse use) const {
    return rows[static_cast<size_t>(use)];
  }
};

// "memfd frames" of "/memfd:frames (deleted)", as the kernel labels a shared mapping; of what has no
// name "shared anonymous memory". For people; not escaped.
[[nodiscard]] std::string name_of_shared(std::string_view label);

[[nodiscard]] MemoryAccount account_memory(const Analysis& analysis);

}  // namespace heapscan

// The caches of free blocks that every thread has (2.26 and later). Their blocks look used to a
// walk of the heap.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "heap/glibc/damage_log.h"
#include "heap/glibc/layouts.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan::glibc {

struct Tcache {
  BlockId block;  // the struct's own
  const TcacheLayout* layout = nullptr;
  int tid = 0;          // 0: no living thread's
  bool in_tls = false;  // named by a thread's local storage, as opposed to found by its shape
};

// `tcache_count`: blocks per bin as mp_ has it; nothing when unknown.
[[nodiscard]] std::vector<Tcache> find_tcaches(const MemoryImage& image,
                                               std::span<const ThreadArea> threads,
                                               const HeapModel& heap,
                                               std::optional<uint64_t> tcache_count,
                                               bool& safe_linking);

struct TcacheMarks {
  uint64_t blocks = 0;
  uint64_t bins = 0;        // that were not empty
  uint64_t miscounted = 0;  // bins whose count differs from the length of their list
};
// Marks the members of every cache, and the structs themselves as bookkeeping.
[[nodiscard]] TcacheMarks mark_tcaches(const MemoryImage& image, HeapModel& heap,
                                       const std::vector<Tcache>& tcaches,
                                       std::optional<uint64_t> tcache_count, bool safe_linking,
                                       DamageLog& damage);

}  // namespace heapscan::glibc

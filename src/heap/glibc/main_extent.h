// Where the memory of a main arena lies. Nothing in memory lists it.
#pragma once

#include <optional>
#include <vector>

#include "heap/glibc/arena_search.h"
#include "heap/glibc/heap_area.h"
#include "heap/glibc/malloc_params.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/addr.h"
#include "heapscan/base/note.h"

namespace heapscan::glibc {

struct MainExtent {
  std::vector<AddrRange> stretches;  // sorted, disjoint; the one that holds top ends where top ends
  uint64_t padding = 0;              // in front of the first chunk: the break need not be aligned
  AddrRange
      owned;  // what belongs to the program's break: no raw mapping, though not all of it heap
};

// Where a contiguous main arena would begin: null when it has grown by mmap, or was never used.
[[nodiscard]] Addr expected_sbrk_base(WordReader& reader, const ArenaFields& main);

// `taken`: memory that belongs to something else (heaps of other arenas, stacks, modules), sorted
// and disjoint.
[[nodiscard]] MainExtent find_main_extent(WordReader& reader, const Ring& ring,
                                          const ArenaFields& main,
                                          const std::optional<MallocParams>& params,
                                          const std::vector<AddrRange>& taken, Notes& notes);

}  // namespace heapscan::glibc

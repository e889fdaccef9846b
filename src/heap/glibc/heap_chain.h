// The heaps of arenas other than the main one: reservations of 64 MiB (usually), each with a
// heap_info at its start.
#pragma once

#include <cstdint>
#include <vector>

#include "heap/glibc/arena_search.h"
#include "heap/glibc/damage_log.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/addr.h"

namespace heapscan::glibc {

struct HeapGeometry {
  uint64_t header = 0x30;                     // sizeof(heap_info)
  uint64_t reservation = uint64_t{64} << 20;  // HEAP_MAX_SIZE
};
// Voted by all arenas of the ring but the main one.
[[nodiscard]] HeapGeometry probe_heap_geometry(WordReader& reader, const Ring& ring);

struct NonMainHeap {
  Addr base;         // of the heap_info
  AddrRange header;  // heap_info, and the arena in an arena's first heap
  AddrRange chunks;  // from the first chunk to the end in use
};
// Newest first, as glibc links them. `state` is the arena, `top` its top chunk.
[[nodiscard]] std::vector<NonMainHeap> heaps_of_arena(WordReader& reader, const Ring& ring,
                                                      const HeapGeometry& geometry, Addr state,
                                                      Addr top, DamageLog& damage);

}  // namespace heapscan::glibc

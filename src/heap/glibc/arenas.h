// The arenas of a process, and where their memory lies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heap/glibc/chunks.h"
#include "heap/glibc/damage_log.h"
#include "heap/glibc/layouts.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan::glibc {

// ---- arenas -------------------------------------------------------------------------------------

// Finds the arenas (struct malloc_state) of every C library in the process. Each library copy has a
// ring of them that begins at its main arena.

// What the 127 pairs of list heads at `bins` look like.
struct BinsShape {
  unsigned sound = 0;       // empty, or both ends of the list point back
  unsigned unreadable = 0;  // the ends lie in memory that was not saved
  unsigned broken = 0;
  // A process stopped in the middle of an update, or a list overwritten, breaks some pairs but not
  // a fifth of them.
  [[nodiscard]] bool is_arena() const { return sound >= 32 && sound + unreadable >= 100; }
};
[[nodiscard]] BinsShape shape_of_bins(WordReader& reader, Addr bins);
// One pair, the list heads of bin 1 + `index`.
enum class PairShape { Empty, Linked, Unreadable, Broken };
[[nodiscard]] PairShape shape_of_pair(WordReader& reader, Addr bins, size_t index);

// An arena's own fields.
struct ArenaFields {
  bool locked = false;
  uint32_t flags = 0;
  Addr top;  // null before first use
  Addr next;
  uint64_t system_mem = 0;
};
[[nodiscard]] std::optional<ArenaFields> read_arena(WordReader& reader, Addr state,
                                                    const ArenaLayout& layout);

// Whether the arena's header is that of 2.23 or later, judged by the words behind `bins`.
[[nodiscard]] bool has_attached_threads(WordReader& reader, Addr bins);

struct Ring {
  ModuleId module;  // where the main arena lies; none when only other arenas were found
  ArenaLayout layout;
  LayoutSource source = LayoutSource::Probed;
  std::string found_by;
  Addr main;                 // null when only other arenas were found
  std::vector<Addr> states;  // all arenas, the main one first, then in the order of the ring
  bool is_closed = false;    // following next led back to the main arena
  bool is_unused = false;    // malloc has not been called yet
};

// Sorted: the ring of `in_charge` first, then by address. Empty when there is no sign of glibc's
// malloc.
[[nodiscard]] std::vector<Ring> find_rings(const MemoryImage& image, const Symbols& symbols,
                                           ModuleId in_charge, Notes& notes);

// ---- heaps of arenas other than the main one ----------------------------------------------------

// The heaps of arenas other than the main one: reservations of 64 MiB (usually), each with a
// heap_info at its start.

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

// ---- mp_ (struct malloc_par): what malloc says about itself as a whole --------------------------

struct MallocParams {
  AddrRange range;  // where it lies
  const ParamsLayout* layout = nullptr;
  Addr sbrk_base;  // null: the main arena never grew by brk
  uint64_t n_mmaps = 0;
  uint64_t mmapped_mem = 0;
  uint64_t tcache_count = 0;  // blocks per tcache bin; 0 when there is no tcache
};

// `sbrk_base`: where the main arena must begin if it is contiguous; null when unknown. Nothing when
// no place in the library's data looks enough like it.
[[nodiscard]] std::optional<MallocParams> find_params(WordReader& reader, const Symbols& symbols,
                                                      const Ring& ring, Addr sbrk_base);

// ---- the main arena's memory --------------------------------------------------------------------

// Where the memory of a main arena lies. Nothing in memory lists it.

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

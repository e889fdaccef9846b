// glibc's malloc as an allocator that heapscan reads, and its heap in four steps: where its memory
// lies, which blocks there are in it, which of them are free after all, and whether malloc's own
// figures agree.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "heap/allocator.h"
#include "heap/glibc/arenas.h"
#include "heap/glibc/chunks.h"
#include "heap/glibc/damage_log.h"
#include "heap/glibc/free_lists.h"
#include "heap/glibc/mmapped_chunks.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan::glibc {

[[nodiscard]] std::optional<Recognition> recognise(const HeapInputs& inputs, ModuleId module,
                                                   Linkage linkage);
[[nodiscard]] std::optional<Recognition> find_in_use(const HeapInputs& inputs);
[[nodiscard]] std::optional<HeapModel> walk(const HeapInputs& inputs, ModuleId module);

inline constexpr Allocator kAllocator{"glibc", "main arena", recognise, find_in_use, walk};

// One copy of the library.
struct Library {
  Ring ring;
  HeapGeometry geometry;
  std::optional<MallocParams> params;
  bool in_flux = false;  // a thread may have been stopped inside malloc
  bool safe_linking = false;
  uint64_t link_votes = 0;
};

struct FoundArena {
  uint32_t library = 0;
  Addr state;
  bool is_main = false;
  bool in_flux = false;
  uint64_t system_mem = 0;
  uint64_t heap_bytes = 0;  // system_mem as counted from the arena's heaps
  size_t heaps = 0;
  FreeChunkSums free;  // by the walk
};

struct GlibcHeap {
  std::vector<Library> libraries;
  std::vector<FoundArena> arenas;  // indexed like HeapModel::arenas
  std::vector<HeapArea> areas;     // sorted, disjoint
  MmappedChunks mmapped;
  std::vector<AddrRange> owned;    // heaps, their reservations, mmapped chunks: sorted, disjoint
  std::vector<AddrRange> headers;  // malloc_state, malloc_par, heap_info
  std::vector<Tcache> tcaches;
  TcacheMarks tcache_marks;
  uint64_t fastbin_blocks = 0;
  std::vector<BinsVerdict> bins;  // one per arena
  DamageLog damage;
};

// Empty, without an arena, when there is no sign of glibc's malloc. `stacks`: of threads, sorted
// and disjoint.
[[nodiscard]] GlibcHeap find_heap(const MemoryImage& image, const Symbols& symbols,
                                  ModuleId in_charge, const std::vector<AddrRange>& stacks,
                                  Notes& notes);

// Writes the block table: the chunks of all areas, chunks with a mapping of their own, and
// `mappings`. Fills ranges and damaged as well.
void walk_areas(const MemoryImage& image, GlibcHeap& found, const std::vector<AddrRange>& mappings,
                HeapModel& heap);

// Marks what fastbins, tcaches and bins hold. Needs heap.index.
void mark_free_blocks(const HeapInputs& inputs, GlibcHeap& found, HeapModel& heap);

// malloc's figures compared with what was found.
[[nodiscard]] std::vector<Check> check_heap(const GlibcHeap& found, const HeapModel& heap);

// Whether the layouts found were ever released together, or were read from DWARF.
[[nodiscard]] LayoutSource source_of_layout(const GlibcHeap& found);
// "2.36", from the library's own words; empty when they were not saved.
[[nodiscard]] std::string version_of(const MemoryImage& image, const GlibcHeap& found);

}  // namespace heapscan::glibc

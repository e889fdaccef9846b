// Where glibc's memory lies: rings of arenas, their heaps, the main arena's stretches, chunks with
// mappings of their own.

#include <algorithm>

#include "heap/glibc/arenas.h"
#include "heap/glibc/chunks.h"
#include "heap/glibc/glibc_heap.h"
#include "heapscan/base/text.h"
#include "heapscan/image/intervals.h"

namespace heapscan::glibc {

namespace {

// Whether some thread may stand inside malloc: its pc is in the library and it is not waiting in a
// system call other than those that malloc makes. Single-threaded processes take no lock, so arenas
// do not tell.
bool malloc_may_be_running(const MemoryImage& image, const Ring& ring) {
  // brk, mmap, munmap, mremap, madvise, mprotect on x86-64.
  constexpr uint64_t kMallocCalls[] = {12, 9, 11, 25, 28, 10};
  constexpr uint64_t kNoCall = ~uint64_t{0};
  for (const Thread& thread : image.threads()) {
    if (!thread.has_registers) continue;
    const Module* const module = image.module_at(thread.pc());
    if (module == nullptr || !ring.module.valid() || module != &image.modules()[ring.module])
      continue;
    const uint64_t call = thread.reg(Register::OrigRax);
    if (call == kNoCall || std::find(std::begin(kMallocCalls), std::end(kMallocCalls), call) !=
                               std::end(kMallocCalls)) {
      return true;
    }
  }
  return false;
}

// The areas of one arena's heaps.
void add_heaps(WordReader& reader, const Library& library, uint32_t id, Addr top,
               GlibcHeap& found) {
  FoundArena& arena = found.arenas[id];
  for (const NonMainHeap& heap :
       heaps_of_arena(reader, library.ring, library.geometry, arena.state, top, found.damage)) {
    HeapArea area;
    area.range = heap.chunks;
    area.arena = id;
    area.top = heap.chunks.contains(top) && top.is_aligned(kAlignment) ? top : Addr();
    found.areas.push_back(area);
    found.headers.push_back(heap.header);
    found.owned.push_back(AddrRange::sized(heap.base, library.geometry.reservation));
    arena.heap_bytes += heap.chunks.end() - heap.base;
    ++arena.heaps;
  }
}

// Sorts the areas and cuts what two of them claim off the later one.
void make_disjoint(GlibcHeap& found) {
  std::stable_sort(
      found.areas.begin(), found.areas.end(),
      [](const HeapArea& a, const HeapArea& b) { return a.range.begin() < b.range.begin(); });
  std::vector<HeapArea> kept;
  Addr done;
  for (HeapArea area : found.areas) {
    if (area.range.begin() < done) {
      found.damage.add(area.range.begin(), "two heaps claim this memory");
      area.range = AddrRange(done.align_up(kAlignment), area.range.end());
    }
    if (area.range.empty()) continue;
    if (!area.range.contains(area.top)) area.top = Addr();
    done = area.range.end();
    kept.push_back(area);
  }
  found.areas = std::move(kept);
}

// Anonymous memory a chunk may have as a mapping of its own.
std::vector<AddrRange> unexplained_memory(const MemoryImage& image,
                                          const std::vector<AddrRange>& taken) {
  std::vector<AddrRange> raw;
  for (const Region& region : image.regions()) {
    if (is_raw_memory(region)) raw.push_back(region.range);
  }
  return subtract(joined(std::move(raw)), taken);
}

std::vector<AddrRange> with_areas(const GlibcHeap& found, std::vector<AddrRange> taken) {
  taken.insert(taken.end(), found.owned.begin(), found.owned.end());
  for (const HeapArea& area : found.areas) taken.push_back(area.range);
  return joined(std::move(taken));
}

}  // namespace

GlibcHeap find_heap(const MemoryImage& image, const Symbols& symbols, ModuleId in_charge,
                    const std::vector<AddrRange>& stacks, Notes& notes) {
  GlibcHeap found;
  WordReader reader(image);
  std::vector<AddrRange> taken = module_pages(image);
  taken.insert(taken.end(), stacks.begin(), stacks.end());
  taken = joined(std::move(taken));

  std::vector<ArenaFields> main_fields;
  for (Ring& ring : find_rings(image, symbols, in_charge, notes)) {
    Library library;
    library.geometry = probe_heap_geometry(reader, ring);
    const bool running = malloc_may_be_running(image, ring);
    library.in_flux = running;
    const auto id = static_cast<uint32_t>(found.libraries.size());
    main_fields.emplace_back();
    library.ring = std::move(ring);
    for (const Addr state : library.ring.states) {
      if (found.arenas.size() >= Block::kArenas) break;
      const auto fields = read_arena(reader, state, library.ring.layout);
      FoundArena arena;
      arena.library = id;
      arena.state = state;
      arena.is_main = state == library.ring.main;
      if (fields) {
        arena.in_flux = running || fields->locked;
        arena.system_mem = fields->system_mem;
        library.in_flux = library.in_flux || fields->locked;
      }
      found.headers.push_back(AddrRange::sized(state, library.ring.layout.size));
      found.arenas.push_back(arena);
      if (!fields || library.ring.is_unused) continue;
      if (arena.is_main) {
        main_fields.back() = *fields;
      } else {
        add_heaps(reader, library, static_cast<uint32_t>(found.arenas.size() - 1), fields->top,
                  found);
      }
    }
    library.params =
        find_params(reader, symbols, library.ring, expected_sbrk_base(reader, main_fields.back()));
    if (library.params) found.headers.push_back(library.params->range);
    found.libraries.push_back(std::move(library));
  }

  // Main arenas last: what is theirs is seen best once the other heaps are known.
  for (size_t a = 0; a < found.arenas.size(); ++a) {
    FoundArena& arena = found.arenas[a];
    if (!arena.is_main) continue;
    const Library& library = found.libraries[arena.library];
    const ArenaFields& fields = main_fields[arena.library];
    const MainExtent extent = find_main_extent(reader, library.ring, fields, library.params,
                                               with_areas(found, taken), notes);
    for (const AddrRange& stretch : extent.stretches) {
      HeapArea area;
      area.range = stretch;
      area.arena = static_cast<uint32_t>(a);
      area.is_main = true;
      area.top = stretch.contains(fields.top) ? fields.top : Addr();
      found.areas.push_back(area);
      arena.heap_bytes += stretch.size();
      ++arena.heaps;
    }
    arena.heap_bytes += extent.padding;
    if (!extent.owned.empty()) found.owned.push_back(extent.owned);
  }
  make_disjoint(found);

  const std::vector<AddrRange> explained = with_areas(found, taken);
  std::optional<MmappedTotal> expected = MmappedTotal{};
  uint64_t trailer = 0;
  for (const Library& library : found.libraries) {
    if (library.ring.layout.fastbins == 0) trailer = 16;
    if (!library.params) expected.reset();
    if (!expected) continue;
    expected->count += library.params->n_mmaps;
    expected->bytes += library.params->mmapped_mem;
  }
  if (!found.libraries.empty()) {
    found.mmapped =
        find_mmapped_chunks(image, unexplained_memory(image, explained), expected, trailer);
  }
  for (const MmappedChunk& chunk : found.mmapped.chunks) found.owned.push_back(chunk.mapping);
  found.owned = joined(std::move(found.owned));
  return found;
}

}  // namespace heapscan::glibc

// glibc's heap, from its arenas to the sums.

#include "heap/allocator_code.h"
#include "heap/ended_storage.h"
#include "heap/glibc/glibc_heap.h"
#include "heap/heap_totals.h"
#include "heap/mappings.h"
#include "heapscan/image/intervals.h"

namespace heapscan::glibc {

namespace {

std::vector<Arena> arenas_of(const GlibcHeap& found) {
  std::vector<Arena> arenas;
  for (const FoundArena& arena : found.arenas) {
    arenas.push_back({arena.state, arena.is_main, arena.system_mem, arena.heaps});
  }
  return arenas;
}

std::vector<AddrRange> grids_of(const HeapModel& heap) {
  std::vector<AddrRange> grids;
  for (const HeapRange& range : heap.ranges) {
    if (range.arena.valid()) grids.push_back(range.range);
  }
  return grids;
}

std::vector<AddrRange> memory_of(const GlibcHeap& found) {
  std::vector<AddrRange> memory = found.owned;
  for (const HeapArea& area : found.areas) memory.push_back(area.range);
  return memory;
}

}  // namespace

std::optional<HeapModel> walk(const HeapInputs& inputs, ModuleId module) {
  const MemoryImage& image = inputs.image;
  HeapModel heap;
  GlibcHeap found =
      find_heap(image, inputs.symbols, module, thread_stacks(image, inputs.runtime), heap.notes);
  if (found.libraries.empty()) return std::nullopt;
  heap.allocator = "glibc";
  heap.version = version_of(image, found);
  heap.allocator_code = find_allocator_code(image, inputs.symbols, module);
  heap.found_by = found.libraries.front().ring.found_by;
  heap.arenas = arenas_of(found);

  walk_areas(image, found, raw_mappings(image, inputs.runtime, memory_of(found)), heap);
  heap.index = BlockIndex(heap.blocks.rows(), grids_of(heap));
  mark_free_blocks(inputs, found, heap);
  mark_ended_storage(inputs.runtime, heap);

  heap.allocator_state.insert(heap.allocator_state.end(), found.headers.begin(),
                              found.headers.end());
  heap.allocator_state = joined(std::move(heap.allocator_state));
  heap.layout_source = source_of_layout(found);
  heap.totals = add_up(image, heap.blocks.rows(), heap.arenas);
  heap.checks = check_heap(found, heap);
  found.damage.move_into(heap.notes);
  return heap;
}

}  // namespace heapscan::glibc

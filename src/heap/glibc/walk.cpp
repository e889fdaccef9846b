// glibc's heap, from its arenas to the sums.
#include "heap/allocator.h"

#include <algorithm>
#include <cstring>

#include "heap/glibc/chunks.h"
#include "heap/glibc/glibc_heap.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
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
  heap.pointers = PointerWords(image, heap.index);
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

// The block table is reserved once, with room in it for the most blocks each heap can have, and
// heaps are walked in parallel, each into its own part. The parts are then moved together in
// address order. Blocks that are mappings have their single rows between the parts from the
// beginning.

namespace {

struct Part {
  Addr begin;
  size_t first_row = 0;
  size_t rows = 0;
  size_t area = 0;  // index into areas, or none
  Block single;
  static constexpr size_t kSingle = ~size_t{0};
};

bool has_places(AddrRange range) { return range.end() < Block::kEndOfPlaces; }

std::vector<Part> parts_of(const MemoryImage& image, const GlibcHeap& found,
                           const std::vector<AddrRange>& mappings, size_t& capacity) {
  std::vector<Part> parts;
  for (size_t i = 0; i < found.areas.size(); ++i) {
    Part part;
    part.begin = found.areas[i].range.begin();
    part.rows = most_chunks(image, found.areas[i].range);
    part.area = i;
    parts.push_back(part);
  }
  const auto add_single = [&](AddrRange block, BlockState state) {
    Part part;
    part.begin = block.begin();
    part.rows = 1;
    part.area = Part::kSingle;
    part.single = Block(block.begin(), block.size(), state, ArenaId::none());
    if (has_places(block) && part.single.size() > 0) parts.push_back(part);
  };
  for (const MmappedChunk& chunk : found.mmapped.chunks) add_single(chunk.block, BlockState::Used);
  for (const AddrRange& mapping : mappings) add_single(mapping, BlockState::Mapping);
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.begin < b.begin; });
  capacity = 0;
  for (Part& part : parts) {
    part.first_row = capacity;
    capacity += part.rows;
  }
  return parts;
}

// Moves the parts' rows to the front of the table, in order; their number. A part never moves to
// where a later one still is, so that all whose place is free by now move at once.
size_t move_together(const std::vector<Part>& parts, GrowingArray<Block>& blocks) {
  std::vector<size_t> places;
  size_t total = 0;
  for (const Part& part : parts) {
    places.push_back(total);
    total += part.rows;
  }
  for (size_t first = 0; first < parts.size();) {
    size_t last = first + 1;
    while (last < parts.size() && places[last] + parts[last].rows <= parts[first].first_row) ++last;
    parallel_for(last - first, [&](size_t i) {
      const Part& part = parts[first + i];
      const size_t place = places[first + i];
      if (place == part.first_row || part.rows == 0) return;
      std::memmove(blocks.data() + place, blocks.data() + part.first_row,
                   part.rows * sizeof(Block));
      // The table must never be held twice.
      blocks.discard_rows(std::max(place + part.rows, part.first_row), part.first_row + part.rows);
    });
    first = last;
  }
  return total;
}

}  // namespace

void walk_areas(const MemoryImage& image, GlibcHeap& found, const std::vector<AddrRange>& mappings,
                HeapModel& heap) {
  size_t capacity = 0;
  std::vector<Part> parts = parts_of(image, found, mappings, capacity);
  heap.blocks = GrowingArray<Block>(capacity);
  heap.blocks.resize(capacity);

  std::vector<AreaWalk> walks(found.areas.size());
  parallel_for(parts.size(), [&](size_t p) {
    Part& part = parts[p];
    const std::span<Block> rows(heap.blocks.data() + part.first_row, part.rows);
    if (part.area == Part::kSingle) {
      rows[0] = part.single;
      return;
    }
    const HeapArea& area = found.areas[part.area];
    if (!has_places(area.range)) {
      walks[part.area].damaged.push_back(area.range);
      walks[part.area].damage.add(area.range.begin(), "a heap beyond what user space can have");
      part.rows = 0;
      return;
    }
    walks[part.area] = walk_chunks(image, area, found.arenas[area.arena].in_flux, rows);
    part.rows = walks[part.area].rows;
  });

  const size_t total = move_together(parts, heap.blocks);
  heap.blocks.resize(total);
  heap.blocks.shrink_memory();

  uint64_t unreadable = 0;
  for (size_t i = 0; i < walks.size(); ++i) {
    const ArenaId arena(found.areas[i].arena);
    for (const AddrRange& range : walks[i].ranges) heap.ranges.push_back({range, arena});
    heap.damaged.insert(heap.damaged.end(), walks[i].damaged.begin(), walks[i].damaged.end());
    found.arenas[arena.index()].free.add(walks[i].free);
    found.damage.append(walks[i].damage);
    unreadable += walks[i].unreadable_bytes;
  }
  for (const MmappedChunk& chunk : found.mmapped.chunks) {
    heap.ranges.push_back({chunk.mapping, ArenaId::none()});
    if (!has_places(chunk.block)) heap.damaged.push_back(chunk.mapping);
  }
  std::sort(heap.ranges.begin(), heap.ranges.end(), [](const HeapRange& a, const HeapRange& b) {
    return a.range.begin() < b.range.begin();
  });
  std::sort(heap.damaged.begin(), heap.damaged.end());
  if (unreadable != 0) {
    heap.notes.push_back(
        {NoteKind::MissingMemory, "",
         human_bytes(unreadable) + " of the heap were not saved; the blocks there are unknown"});
  }
}

}  // namespace heapscan::glibc

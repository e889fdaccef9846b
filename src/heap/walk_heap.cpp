// The heap, from the allocator in charge to the sums.

#include <algorithm>

#include "heap/allocator_code.h"
#include "heap/ended_threads.h"
#include "heap/glibc/glibc_heap.h"
#include "heap/mappings.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/heap/allocator_detection.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/intervals.h"

namespace heapscan {

namespace {

// What of the image is missing, as a sentence to end a message with; empty when nothing is.
std::string what_is_missing(const MemoryImage& image) {
  if (image.missing_bytes() == 0) return {};
  for (const Note& note : image.notes()) {
    if (note.kind != NoteKind::MissingMemory || note.text.empty()) continue;
    return "; " + note.text;
  }
  return {};
}

// Throws unless the allocator is one whose heap we can walk.
void require_understood(const MemoryImage& image, const AllocatorInCharge& allocator,
                        const glibc::GlibcHeap& found) {
  const bool is_glibc = allocator.name == "glibc" || allocator.name == "unknown";
  if (!is_glibc) {
    const std::string way_out = allocator.name == "musl"
                                    ? "build the program for a system with glibc"
                                    : "start or build the program without it (see LD_PRELOAD and "
                                      "the libraries it is linked with)";
    throw Error(ErrorKind::Unsupported, "this process uses " + allocator.name + "'s malloc (" +
                                            allocator.evidence +
                                            "); heapscan supports only glibc's, " + way_out);
  }
  if (!found.libraries.empty()) return;
  if (allocator.name == "unknown") {
    throw Error(ErrorKind::Unsupported,
                "no allocator recognised in this process: no module exports malloc and no memory "
                "looks like glibc's heap; heapscan supports only glibc's malloc" +
                    what_is_missing(image));
  }
  throw Error(ErrorKind::Unsupported, "this process uses glibc's malloc (" + allocator.evidence +
                                          "), but its main arena was not found in memory; a core "
                                          "dump may lack the data of the C library (see "
                                          "/proc/PID/coredump_filter)" +
                                          what_is_missing(image));
}

std::vector<Arena> arenas_of(const glibc::GlibcHeap& found) {
  std::vector<Arena> arenas;
  for (const glibc::FoundArena& arena : found.arenas) {
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

// Loader memory is told by what points at it, and so are its neighbours; the heap is told by its
// own structure.
std::vector<AddrRange> outside_heap(const std::vector<AddrRange>& memory, const HeapModel& heap) {
  std::vector<AddrRange> ranges;
  for (const HeapRange& range : heap.ranges) ranges.push_back(range.range);
  return subtract(memory, joined(std::move(ranges)));
}

// The whole pages of a free chunk or of top that malloc_trim would give back: all but the links at
// its start.
AddrRange trimmable_pages(const Block& block) {
  constexpr uint64_t kLinks = 32;
  return AddrRange((block.begin() + kLinks).align_up(kPage), block.range().end().align_down(kPage));
}

HeapTotals add_up(const MemoryImage& image, const HeapModel& heap) {
  constexpr size_t kPiece = size_t{1} << 18;
  const Residency* const residency = image.residency() ? &*image.residency() : nullptr;
  std::vector<HeapTotals> pieces(heap.blocks.size() / kPiece + 1);
  parallel_for_pieces(heap.blocks.size(), kPiece, [&](size_t begin, size_t end) {
    HeapTotals& totals = pieces[begin / kPiece];
    uint64_t trimmable = 0;
    for (size_t b = begin; b < end; ++b) {
      const Block& block = heap.blocks[b];
      const auto add = [&](StateTotal& total) {
        ++total.blocks;
        total.bytes += block.size();
      };
      switch (block.state()) {
        case BlockState::Used:
          add(totals.used);
          break;
        case BlockState::Tcache:
        case BlockState::Fastbin:
        case BlockState::Binned:
          add(totals.free);
          break;
        case BlockState::Top:
          totals.top_bytes += block.size();
          break;
        case BlockState::Bookkeeping:
          break;
        case BlockState::Mapping:
          add(totals.mappings);
          break;
      }
      const bool trims = block.state() == BlockState::Binned || block.state() == BlockState::Top;
      if (residency == nullptr || !trims || block.size() < kPage) continue;
      trimmable += common_bytes(residency->resident, trimmable_pages(block));
    }
    if (residency != nullptr) totals.trimmable_bytes = trimmable;
  });
  HeapTotals sum;
  if (residency != nullptr) sum.trimmable_bytes = 0;
  const auto join = [](StateTotal& into, const StateTotal& from) {
    into.blocks += from.blocks;
    into.bytes += from.bytes;
  };
  for (const HeapTotals& piece : pieces) {
    join(sum.used, piece.used);
    join(sum.free, piece.free);
    join(sum.mappings, piece.mappings);
    sum.top_bytes += piece.top_bytes;
    if (sum.trimmable_bytes) *sum.trimmable_bytes += piece.trimmable_bytes.value_or(0);
  }
  return sum;
}

}  // namespace

HeapModel walk_heap(const MemoryImage& image, const Symbols& symbols) {
  HeapModel heap;
  const AllocatorInCharge allocator = find_allocator(image, symbols);
  heap.threads = find_thread_areas(image, symbols);
  const std::vector<AddrRange> stacks = thread_stacks(image, heap.threads);

  glibc::GlibcHeap found = glibc::find_heap(image, symbols, allocator.module, stacks, heap.notes);
  require_understood(image, allocator, found);
  heap.allocator = "glibc";
  heap.version = glibc::version_of(image, found);
  heap.allocator_code = find_allocator_code(image, symbols, allocator.module);
  heap.found_by = found.libraries.front().ring.found_by;
  heap.arenas = arenas_of(found);

  std::vector<AddrRange> taken = module_pages(image);
  taken.insert(taken.end(), stacks.begin(), stacks.end());
  const std::vector<AddrRange> storage = thread_and_loader_memory(heap.threads);
  taken.insert(taken.end(), storage.begin(), storage.end());
  taken.insert(taken.end(), found.owned.begin(), found.owned.end());
  for (const glibc::HeapArea& area : found.areas) taken.push_back(area.range);
  taken = joined(std::move(taken));
  std::vector<AddrRange> mappings = find_mappings(image, taken);
  join_reservations(image, taken, mappings);

  glibc::walk_areas(image, found, mappings, heap);
  heap.threads.loader_memory = outside_heap(heap.threads.loader_memory, heap);
  heap.index = BlockIndex(heap.blocks.rows(), grids_of(heap));
  glibc::mark_free_blocks(image, found, heap);
  mark_storage_of_ended_threads(image, heap);

  heap.allocator_state.insert(heap.allocator_state.end(), found.headers.begin(),
                              found.headers.end());
  heap.allocator_state = joined(std::move(heap.allocator_state));
  heap.layout_source = glibc::source_of_layout(found);
  heap.totals = add_up(image, heap);
  heap.checks = glibc::check_heap(found, heap);
  found.damage.move_into(heap.notes);
  return heap;
}

}  // namespace heapscan

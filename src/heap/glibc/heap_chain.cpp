#include "heap/glibc/arenas.h"

#include <algorithm>
#include <unordered_set>

#include "heap/glibc/chunks.h"

namespace heapscan::glibc {

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
// HEAP_MAX_SIZE; with huge pages of 2 MiB or 1 GiB, 2.35 to 2.41, four of them.
constexpr uint64_t kReservations[] = {64 * kMiB, 8 * kMiB, 4096 * kMiB};
constexpr uint64_t kArenaAt = 0;
constexpr uint64_t kPrevAt = 8;
constexpr uint64_t kSizeAt = 16;
constexpr size_t kMostHeaps = 65536;

// The end of readable or at least mapped memory that follows `at` without a gap.
Addr mapped_end(const MemoryImage& image, Addr at, uint64_t limit) {
  Addr end = at;
  while (end - at < limit) {
    const Region* const region = image.region_at(end);
    if (region == nullptr || region->contents == Contents::Absent) break;
    end = region->range.end();
  }
  return end - at > limit ? at + limit : end;
}

}  // namespace

HeapGeometry probe_heap_geometry(WordReader& reader, const Ring& ring) {
  HeapGeometry best;
  size_t most = 0;
  for (const uint64_t reservation : kReservations) {
    for (const uint64_t header : heap_info_sizes()) {
      size_t votes = 0;
      for (const Addr state : ring.states) {
        if (state == ring.main) continue;
        const Addr first = state - header;
        if (!first.is_aligned(reservation) || reader.word(first + kArenaAt) != state.value)
          continue;
        ++votes;
        const auto fields = read_arena(reader, state, ring.layout);
        if (!fields || fields->top.is_null()) continue;
        if (reader.word(fields->top.align_down(reservation) + kArenaAt) == state.value) ++votes;
      }
      if (votes > most) {
        most = votes;
        best = {header, reservation};
      }
    }
  }
  return best;
}

std::vector<NonMainHeap> heaps_of_arena(WordReader& reader, const Ring& ring,
                                        const HeapGeometry& geometry, Addr state, Addr top,
                                        DamageLog& damage) {
  const MemoryImage& image = reader.image();
  std::vector<NonMainHeap> heaps;
  std::unordered_set<Addr> seen;
  const Addr first = state - geometry.header;

  const auto add = [&](Addr base) {
    if (!seen.insert(base).second) return false;
    NonMainHeap heap;
    heap.base = base;
    const bool is_first = base == first;
    const Addr header_end = base + geometry.header + (is_first ? ring.layout.size : 0);
    heap.header = AddrRange(base, header_end);
    const uint64_t mapped = mapped_end(image, base, geometry.reservation) - base;
    uint64_t size = reader.word(base + kSizeAt).value_or(0);
    if (size < kPage || size % kAlignment != 0 || size > mapped) {
      // Only memory that was saved can be walked; where the size is nonsense all of it may be heap.
      if (size < kPage || size % kAlignment != 0 || size > geometry.reservation) {
        damage.add(base, "the size in this heap's header is " + hex(size) + ", which cannot be");
      }
      size = mapped;
    }
    heap.chunks = AddrRange(header_end.align_up(kAlignment), base + size / kAlignment * kAlignment);
    heaps.push_back(heap);
    return true;
  };

  Addr at = top.is_null() ? first : top.align_down(geometry.reservation);
  if (!top.is_null() && reader.word(at + kArenaAt) != state.value) {
    damage.add(state, "top of this arena, " + hex(top) + ", does not lie in one of its heaps");
    at = first;
  }
  while (heaps.size() < kMostHeaps) {
    if (!add(at)) {
      damage.add(at, "the heaps of the arena at " + hex(state) + " form a loop");
      break;
    }
    const auto previous = reader.word(at + kPrevAt);
    if (!previous || *previous == 0) break;
    const Addr next(*previous);
    if (!next.is_aligned(geometry.reservation) || reader.word(next + kArenaAt) != state.value) {
      damage.add(at, "the heap before this one should be at " + hex(next) +
                         ", where there is no heap of this arena");
      break;
    }
    at = next;
  }
  if (!seen.contains(first) && reader.word(first + kArenaAt) == state.value) add(first);
  return heaps;
}

}  // namespace heapscan::glibc

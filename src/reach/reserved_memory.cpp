#include "reach/why_possible.h"

#include <algorithm>

namespace heapscan {

namespace {

// As in the search for mappings: guards are shorter than the one, and not several times as long as
// what they guard.
constexpr uint64_t kLongerThanGuards = uint64_t{1} << 20;
constexpr uint64_t kAsLongAsGuards = uint64_t{64} << 10;

bool is_more_than_a_guard(uint64_t reserved, uint64_t usable) {
  return reserved >= kLongerThanGuards || (reserved >= kAsLongAsGuards && reserved / 4 >= usable);
}

// A mapping that begins and ends without rights and has usable parts.
struct ReservedMapping {
  BlockId id;
  uint64_t at_begin = 0;  // bytes without rights
  uint64_t at_end = 0;
};

std::vector<ReservedMapping> reserved_mappings(const MemoryImage& image, const HeapModel& heap) {
  std::vector<ReservedMapping> found;
  for (const BlockIndex::Range& range : heap.index.ranges()) {
    if (range.first_word != BlockIndex::kNoGrid) continue;
    const BlockId id = heap.block_at(Addr(range.begin));
    if (!id.valid() || heap.block(id).state() != BlockState::Mapping) continue;
    const AddrRange whole = heap.block(id).range();
    const Region* const first = image.region_at(whole.begin());
    const Region* const last = image.region_at(whole.end() - 1);
    if (first == nullptr || last == nullptr || first == last || first->perms.write ||
        last->perms.write)
      continue;
    found.push_back({id, first->range.end() - whole.begin(), whole.end() - last->range.begin()});
  }
  return found;
}

// The mapping at `at`. Shared memory is never part of a reservation, which is private.
BlockId private_mapping_at(const MemoryImage& image, const HeapModel& heap, Addr at) {
  const BlockId id = heap.block_at(at);
  if (!id.valid() || heap.block(id).state() != BlockState::Mapping) return BlockId::none();
  const Region* const region = image.region_at(at);
  return region != nullptr && !region->perms.shared ? id : BlockId::none();
}

// The mapping that touches it from below (above), if it may be its first (last) part.
BlockId part_below(const MemoryImage& image, const HeapModel& heap,
                   const ReservedMapping& reserved) {
  const BlockId id = private_mapping_at(image, heap, heap.block(reserved.id).begin() - 1);
  const bool may_be = id.valid() && is_more_than_a_guard(reserved.at_begin, heap.block(id).size());
  return may_be ? id : BlockId::none();
}

BlockId part_above(const MemoryImage& image, const HeapModel& heap,
                   const ReservedMapping& reserved) {
  const BlockId id = private_mapping_at(image, heap, heap.block(reserved.id).range().end());
  const bool may_be = id.valid() && is_more_than_a_guard(reserved.at_end, heap.block(id).size());
  return may_be ? id : BlockId::none();
}

}  // namespace

std::vector<uint64_t> reservations_begun(const MemoryImage& image, const HeapModel& heap,
                                         const BlockBitmap& unreached) {
  std::vector<uint64_t> begun;
  for (const ReservedMapping& reserved : reserved_mappings(image, heap)) {
    const BlockId below = part_below(image, heap, reserved);
    if (below.valid() && unreached.test(reserved.id) && !unreached.test(below))
      begun.push_back(heap.block(reserved.id).begin().value);
  }
  return begun;
}

std::vector<BlockId> beside_reservations(const MemoryImage& image, const HeapModel& heap,
                                         const BlockBitmap& unheld) {
  std::vector<BlockId> beside;
  for (const ReservedMapping& reserved : reserved_mappings(image, heap)) {
    if (unheld.test(reserved.id)) continue;
    for (const BlockId id :
         {part_below(image, heap, reserved), part_above(image, heap, reserved)}) {
      if (id.valid() && unheld.test(id)) beside.push_back(id);
    }
  }
  std::sort(beside.begin(), beside.end());
  beside.erase(std::unique(beside.begin(), beside.end()), beside.end());
  return beside;
}

}  // namespace heapscan

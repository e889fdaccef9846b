// A program that takes a large block and hands out its parts (perl's op slabs, obstacks, arenas) keeps pointers at the
// parts and often none at the block. One pointer into the middle may be a number that looks like one. Pointers at several
// different aligned places of one block, all found in memory that is in use, are not. As with links, the last word before
// the next block does not count: that is where the allocator's own chunk addresses point.
#include "reach/pools.h"

namespace heapscan {

namespace {

constexpr size_t kFewestPlaces = 4;

bool may_be_part(const Block& block, uint64_t value) {
  const uint64_t offset = value - block.begin().value;
  return offset % 8 == 0 && offset + 8 != block.size();
}

}  // namespace

std::vector<uint64_t> find_pools(const HeapModel& heap, std::span<const uint64_t> interior) {
  std::vector<uint64_t> pools;
  size_t i = 0;
  while (i < interior.size()) {
    const BlockId id = heap.block_at(Addr(interior[i]));
    if (!id.valid()) {
      ++i;
      continue;
    }
    const Block& block = heap.block(id);
    size_t places = 0;
    for (; i < interior.size() && block.range().contains(Addr(interior[i])); ++i) {
      places += may_be_part(block, interior[i]) ? 1 : 0;
    }
    if (places >= kFewestPlaces) pools.push_back(block.begin().value);
  }
  return pools;
}

}  // namespace heapscan

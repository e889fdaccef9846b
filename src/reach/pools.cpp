// A program that takes a large block and hands out its parts (perl's op slabs, obstacks, arenas)
// keeps pointers at the parts and often none at the block. One pointer into the middle may be a
// number that looks like one. Pointers at several different aligned places of one block, all found
// in memory that is in use, are not; nor is a single one when the block is full of parts that name
// each other, as the operations of a compiled function do. As with links, the last word before the
// next block does not count: that is where the allocator's own chunk addresses point.
#include "reach/pools.h"

#include <algorithm>

#include "reach/named_blocks.h"

namespace heapscan {

namespace {

constexpr size_t kFewestPlaces = 4;     // named from outside
constexpr size_t kFewestOwnPlaces = 8;  // named by the block itself
constexpr size_t kFewestOwnNames = 2;
constexpr uint64_t kSearched = 64 << 10;  // bytes of a block searched for words that name its parts

bool may_be_part(const Block& block, uint64_t value) {
  const uint64_t offset = value - block.begin().value;
  return offset % 8 == 0 && offset + 8 != block.size();
}

size_t own_places(const MemoryImage& image, const Block& block) {
  std::vector<uint64_t> places;
  const AddrRange searched = AddrRange::sized(block.begin(), kSearched).intersect(block.range());
  image.for_each_span(searched, [&](Addr begin, Bytes bytes) {
    for (uint64_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
      const auto value = load<uint64_t>(bytes.data() + i);
      if (value != block.begin().value && block.range().contains(Addr(value)) &&
          may_be_part(block, value)) {
        places.push_back(value);
      }
    }
  });
  std::sort(places.begin(), places.end());
  return static_cast<size_t>(std::unique(places.begin(), places.end()) - places.begin());
}

// One such word may be a string's that holds its characters itself; a list's empty head has two, in
// place.
bool names_itself(const MemoryImage& image, const Block& block,
                  std::span<const uint64_t> addresses) {
  std::vector<size_t> own(addresses.size());
  bool found = false;
  const AddrRange searched = AddrRange::sized(block.begin(), kSearched).intersect(block.range());
  image.for_each_span(searched, [&](Addr begin, Bytes bytes) {
    for (uint64_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
      const auto value = load<uint64_t>(bytes.data() + i);
      if (!block.range().contains(Addr(value)) || !may_be_part(block, value)) continue;
      const auto at = std::lower_bound(addresses.begin(), addresses.end(), value);
      if (at == addresses.end() || *at != value) continue;
      const uint64_t place = (begin + i).value;
      if (place == value || place == value + 8) continue;
      found |= ++own[static_cast<size_t>(at - addresses.begin())] >= kFewestOwnNames;
    }
  });
  return found;
}

}  // namespace

std::vector<uint64_t> find_pools(const MemoryImage& image, const HeapModel& heap,
                                 std::span<const uint64_t> interior) {
  std::vector<uint64_t> pools;
  for_each_named_block(heap, interior, [&](const Block& block, std::span<const uint64_t> named) {
    const auto places = static_cast<size_t>(std::count_if(
        named.begin(), named.end(), [&](uint64_t pointer) { return may_be_part(block, pointer); }));
    if (places >= kFewestPlaces || (places > 0 && own_places(image, block) >= kFewestOwnPlaces))
      pools.push_back(block.begin().value);
  });
  return pools;
}

std::vector<uint64_t> find_self_named(const MemoryImage& image, const HeapModel& heap,
                                      std::span<const uint64_t> interior) {
  std::vector<uint64_t> begins;
  for_each_named_block(heap, interior, [&](const Block& block, std::span<const uint64_t> named) {
    if (names_itself(image, block, named)) begins.push_back(block.begin().value);
  });
  return begins;
}

}  // namespace heapscan

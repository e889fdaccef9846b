// A list node that is linked through a member is only ever named by the address of that member. One
// such pointer looks like chance; hundreds of blocks of one size that are all named at one and the
// same offset do not. A stray word hits any offset, so the class must both be large and cover most
// of the held blocks of its size. The last word before the next block is left out: that is where
// the allocator's own chunk addresses point.
#include "reach/consistent_links.h"

#include <map>

namespace heapscan {

namespace {

constexpr uint64_t kFewest = 10;        // blocks held at the offset
constexpr uint64_t kLeastPercent = 60;  // of the held blocks of that size

std::vector<std::pair<LinkClass, uint64_t>> count_classes(const HeapModel& heap,
                                                          std::span<const uint64_t> interior) {
  std::map<LinkClass, uint64_t> counts;
  for (const uint64_t value : interior) {
    const BlockId id = heap.block_at(Addr(value));
    if (!id.valid()) continue;
    const Block& block = heap.block(id);
    const uint64_t offset = value - block.begin().value;
    if (offset == 0 || offset % 8 != 0 || offset + 8 == block.size()) continue;
    ++counts[{block.size(), offset}];
  }
  return {counts.begin(), counts.end()};
}

}  // namespace

std::vector<LinkClass> find_consistent_links(const HeapModel& heap,
                                             std::span<const uint64_t> interior,
                                             const BlockBitmap& held) {
  std::map<uint64_t, uint64_t> held_by_size;
  held.for_each([&](BlockId id) { ++held_by_size[heap.block(id).size()]; });

  std::vector<LinkClass> links;
  for (const auto& [link, count] : count_classes(heap, interior)) {
    if (count >= kFewest && count * 100 >= held_by_size[link.size] * kLeastPercent)
      links.push_back(link);
  }
  return links;
}

}  // namespace heapscan

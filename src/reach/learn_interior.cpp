// A list node that is linked through a member is only ever named by the address of that member. One
// such pointer looks like chance; hundreds of blocks of one size that are all named at one and the
// same offset do not. A stray word hits any offset, so the class must both be large and cover most
// of the held blocks of its size. The last word before the next block is left out: that is where
// the allocator's own chunk addresses point.
//
// One pointer into the middle of a block may be chance. But chance and stale words hit any offset;
// where blocks of many sizes, which have nothing else in common, are all named at the same distance
// from their beginning, that distance is by design: a header.
//
// Where only one size is named often enough to be sure (intrusive links show the same picture), the
// header has to prove itself: by a mark, a number that stands at one place in all of them, as magic
// numbers do. Blocks of other sizes that are named at the same offset and have the mark have the
// header. Numbers that say how large the block is, or lead somewhere, are no marks.
//
// A program that takes a large block and hands out its parts (perl's op slabs, obstacks, arenas)
// keeps pointers at the parts and often none at the block. One pointer into the middle may be a
// number that looks like one. Pointers at several different aligned places of one block, all found
// in memory that is in use, are not; nor is a single one when the block is full of parts that name
// each other, as the operations of a compiled function do. As with links, the last word before the
// next block does not count: that is where the allocator's own chunk addresses point.
#include "reach/interior_rules.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

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

constexpr uint64_t kLongestLearntHeader = 512;
constexpr size_t kOffsets = kLongestLearntHeader / 8;
constexpr uint64_t kFewestBlocks = 10;  // named at the offset
constexpr size_t kFewestSizes = 4;
constexpr uint64_t kFewestOfOtherSizes = 4;  // than the most frequent one
constexpr uint64_t kLeastPercentAlone = 50;  // of blocks that are named nowhere else
constexpr uint64_t kAboveChance = 10;        // times the mean of the other offsets
constexpr uint32_t kSmallestMark = 1 << 16;  // counts, flags and small sizes are below
constexpr size_t kMostSamples = 256;

struct OffsetCount {
  uint64_t blocks = 0;
  uint64_t alone = 0;
  std::map<uint64_t, uint64_t> sizes;
};

using OffsetCounts = std::array<OffsetCount, kOffsets + 1>;  // by offset / 8

// The last word before the next block does not count: the allocator's own chunk addresses point
// there.
bool may_be_header(const Block& block, uint64_t offset) {
  return offset % 8 == 0 && offset != 0 && offset <= kLongestLearntHeader &&
         offset + 8 != block.size();
}

OffsetCounts count_offsets(const HeapModel& heap, std::span<const uint64_t> interior) {
  OffsetCounts counts;
  for_each_named_block(heap, interior, [&](const Block& block, std::span<const uint64_t> pointers) {
    for (const uint64_t pointer : pointers) {
      const uint64_t offset = pointer - block.begin().value;
      if (!may_be_header(block, offset)) continue;
      OffsetCount& count = counts[offset / 8];
      ++count.blocks;
      if (pointers.size() == 1) ++count.alone;
      ++count.sizes[block.size()];
    }
  });
  return counts;
}

bool is_named_in_many_sizes(const OffsetCount& count, uint64_t all) {
  if (count.blocks < kFewestBlocks || count.sizes.size() < kFewestSizes) return false;
  uint64_t most = 0;
  for (const auto& [size, blocks] : count.sizes) most = std::max(most, blocks);
  return count.blocks - most >= kFewestOfOtherSizes &&
         count.alone * 100 >= count.blocks * kLeastPercentAlone &&
         count.blocks * (kOffsets - 1) >= (all - count.blocks) * kAboveChance;
}

class MarkSearch {
 public:
  MarkSearch(const MemoryImage& image, const HeapModel& heap) : image_(image), heap_(heap) {}

  // What the headers of the blocks named at `link` have in common.
  [[nodiscard]] std::vector<LearntHeader::Mark> find(std::span<const uint64_t> interior,
                                                     LinkClass link) const {
    std::vector<Addr> samples;
    for_each_named_block(
        heap_, interior, [&](const Block& block, std::span<const uint64_t> pointers) {
          const bool is_member = block.size() == link.size && samples.size() < kMostSamples &&
                                 std::binary_search(pointers.begin(), pointers.end(),
                                                    block.begin().value + link.offset);
          if (is_member) samples.push_back(block.begin());
        });
    std::vector<LearntHeader::Mark> marks;
    if (samples.size() < kFewestBlocks) return marks;
    for (uint32_t at = 0; at + 4 <= link.offset; at += 4) {
      const auto value = image_.read<uint32_t>(samples[0] + at);
      if (!value || *value < kSmallestMark || *value <= link.size) continue;
      if (is_address(samples[0] + at / 8 * 8)) continue;
      const bool in_all = std::all_of(samples.begin(), samples.end(), [&](Addr sample) {
        return image_.read<uint32_t>(sample + at) == value;
      });
      if (in_all) marks.push_back({at, *value});
    }
    return marks;
  }

 private:
  [[nodiscard]] bool is_address(Addr at) const {
    const auto word = image_.read_addr(at);
    return word && image_.region_at(*word) != nullptr;
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
};

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

std::vector<ObjectLink> find_object_links(const MemoryImage& image, const InteriorRules& rules,
                                          const HeapModel& heap, std::span<const uint64_t> interior,
                                          const BlockBitmap& held) {
  std::map<ObjectLink, uint64_t> counts;
  for_each_named_block(heap, interior, [&](const Block& block, std::span<const uint64_t> pointers) {
    const uint64_t first = image.read<uint64_t>(block.begin()).value_or(0);
    for (const uint64_t pointer : pointers) {
      const uint64_t offset = pointer - block.begin().value;
      if (offset != 0 && may_be_part(block, pointer)) ++counts[{first, offset}];
    }
  });
  std::erase_if(counts, [&](const auto& row) {
    return row.second < kFewest || !rules.is_vtable(row.first.first_word);
  });
  std::vector<ObjectLink> links;
  if (counts.empty()) return links;
  std::map<uint64_t, uint64_t> held_by_class;
  for (const auto& [link, count] : counts) held_by_class[link.first_word] = 0;
  held.for_each([&](BlockId id) {
    const auto first = image.read<uint64_t>(heap.block(id).begin());
    const auto row = held_by_class.find(first.value_or(0));
    if (row != held_by_class.end()) ++row->second;
  });
  for (const auto& [link, count] : counts) {
    if (count * 100 >= held_by_class[link.first_word] * kLeastPercent) links.push_back(link);
  }
  return links;
}

std::vector<LearntHeader> find_headers(const MemoryImage& image, const HeapModel& heap,
                                       std::span<const uint64_t> interior,
                                       std::span<const LinkClass> links) {
  std::set<LearntHeader> headers;
  const OffsetCounts counts = count_offsets(heap, interior);
  uint64_t all = 0;
  for (const OffsetCount& count : counts) all += count.blocks;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (is_named_in_many_sizes(counts[i], all)) headers.insert({i * 8, {}});
  }
  const MarkSearch search(image, heap);
  for (const LinkClass& link : links) {
    if (link.offset > kLongestLearntHeader || headers.contains({link.offset, {}})) continue;
    std::vector<LearntHeader::Mark> marks = search.find(interior, link);
    if (!marks.empty()) headers.insert({link.offset, std::move(marks)});
  }
  return {headers.begin(), headers.end()};
}

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

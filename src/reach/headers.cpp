// One pointer into the middle of a block may be chance. But chance and stale words hit any offset;
// where blocks of many sizes, which have nothing else in common, are all named at the same distance
// from their beginning, that distance is by design: a header.
//
// Where only one size is named often enough to be sure (intrusive links show the same picture), the
// header has to prove itself: by a mark, a number that stands at one place in all of them, as magic
// numbers do. Blocks of other sizes that are named at the same offset and have the mark have the
// header. Numbers that say how large the block is, or lead somewhere, are no marks.
#include "reach/headers.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "reach/named_blocks.h"

namespace heapscan {

namespace {

constexpr uint64_t kLongestHeader = 512;
constexpr size_t kOffsets = kLongestHeader / 8;
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
  return offset % 8 == 0 && offset != 0 && offset <= kLongestHeader && offset + 8 != block.size();
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

}  // namespace

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
    if (link.offset > kLongestHeader || headers.contains({link.offset, {}})) continue;
    std::vector<LearntHeader::Mark> marks = search.find(interior, link);
    if (!marks.empty()) headers.insert({link.offset, std::move(marks)});
  }
  return {headers.begin(), headers.end()};
}

}  // namespace heapscan

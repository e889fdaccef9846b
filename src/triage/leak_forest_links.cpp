// Components do not touch each other here: a block that two heads reach belongs to one of them, and
// so does everything below it. So every component is searched by itself, breadth first from its
// head, and writes only to the places of its own blocks.
#include "triage/leak_forest_links.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"

namespace heapscan {

namespace {

constexpr size_t kComponentsPerPiece = 256;
constexpr size_t kLostAhead = 4;      // blocks
constexpr uint64_t kAnnounced = 128;  // bytes of a block

BlockBitmap bitmap_of(const HeapModel& heap, const std::vector<LostBlock>& lost) {
  BlockBitmap bitmap(heap.blocks.size());
  for (const LostBlock& row : lost) bitmap.set(row.block);
  return bitmap;
}

class Linker {
 public:
  Linker(const MemoryImage& image, const HeapModel& heap, const std::vector<LostBlock>& lost)
      : heap_(heap),
        lost_(lost),
        memory_(image, heap),
        bitmap_(bitmap_of(heap, lost)),
        numbers_(bitmap_) {}

  LostLinks link() {
    sort_into_components();
    links_.parent.assign(lost_.size(), LostLinks::kNone);
    links_.offset.assign(lost_.size(), 0);
    parallel_for_pieces(begins_.size() - 1, kComponentsPerPiece, [&](size_t begin, size_t end) {
      BlockReader reader(heap_, memory_);
      for (size_t i = begin; i < end; ++i) {
        if (i + 2 * kLostAhead < end) reader.announce_row(block_in(begins_[i + 2 * kLostAhead]));
        if (i + kLostAhead < end)
          reader.announce_bytes(block_in(begins_[i + kLostAhead]), kAnnounced);
        link_component(begins_[i], begins_[i + 1], reader);
      }
    });
    attach_rest();
    return std::move(links_);
  }

 private:
  [[nodiscard]] uint32_t head_of(uint32_t number) const {
    const BlockId head = lost_[number].head;
    return head.valid() && numbers_.has(head) ? numbers_.number_of(head) : number;
  }
  // Puts the heads' numbers where their components begin in `order`, leaving room for the rest.
  void sort_into_components() {
    free_place_.resize(lost_.size());
    std::vector<uint32_t>& size = free_place_;
    for (uint32_t i = 0; i < lost_.size(); ++i) ++size[head_of(i)];
    links_.order.assign(lost_.size(), LostLinks::kNone);
    size_t at = 0;
    for (uint32_t i = 0; i < lost_.size(); ++i) {
      if (size[i] == 0) continue;
      begins_.push_back(at);
      links_.order[at] = i;
      at += std::exchange(size[i], 0);
    }
    begins_.push_back(at);
  }

  [[nodiscard]] BlockId block_in(size_t place) const { return lost_[links_.order[place]].block; }

  void link_component(size_t begin, size_t end, BlockReader& reader) {
    const uint32_t head = links_.order[begin];
    size_t known = begin + 1;
    for (size_t i = begin; i < known && known < end; ++i) {
      if (i + 2 * kLostAhead < known) reader.announce_row(block_in(i + 2 * kLostAhead));
      if (i + kLostAhead < known) reader.announce_bytes(block_in(i + kLostAhead), kAnnounced);
      known = link_children(links_.order[i], head, known, end, reader);
    }
    free_place_[head] = static_cast<uint32_t>(known);
  }

  // Appends what `number` points at and nobody before it did; returns how far `order` is filled.
  size_t link_children(uint32_t number, uint32_t head, size_t known, size_t end,
                       BlockReader& reader) {
    const AddrRange block = heap_.block(lost_[number].block).range();
    reader.for_each_pointer(block, [&](Addr at, Bytes bytes, size_t i) {
      if (known == end) return;
      const uint32_t child = lost_at(load<uint64_t>(bytes.data() + i));
      // What belongs to other components is not even looked at: they are linked meanwhile.
      if (child == LostLinks::kNone || child == head || head_of(child) != head) return;
      if (links_.parent[child] != LostLinks::kNone) return;
      links_.parent[child] = number;
      links_.offset[child] = static_cast<uint32_t>(
          std::min<uint64_t>(at + i - block.begin(), std::numeric_limits<uint32_t>::max()));
      links_.order[known++] = child;
    });
    return known;
  }
  [[nodiscard]] uint32_t lost_at(uint64_t word) const {
    const uint32_t range = heap_.index.range_at(word);
    if (range == BlockIndex::kNoRange) return LostLinks::kNone;
    const BlockId id = heap_.index.block_before(heap_.index.ranges()[range], word);
    if (!id.valid() || !numbers_.has(id)) return LostLinks::kNone;
    return heap_.block(id).range().contains(Addr(word)) ? numbers_.number_of(id) : LostLinks::kNone;
  }
  // Blocks to which no way leads from their head.
  void attach_rest() {
    for (uint32_t i = 0; i < lost_.size(); ++i) {
      const uint32_t head = head_of(i);
      if (i == head || links_.parent[i] != LostLinks::kNone) continue;
      links_.parent[i] = head;
      links_.order[free_place_[head]++] = i;
    }
  }

  const HeapModel& heap_;
  const std::vector<LostBlock>& lost_;
  BlockMemory memory_;
  BlockBitmap bitmap_;
  BlockNumbers numbers_;
  std::vector<size_t> begins_;        // of the components in `order`; one more at the end
  std::vector<uint32_t> free_place_;  // by number of the head: where the next block goes in `order`
  LostLinks links_;
};

}  // namespace

LostLinks link_lost_blocks(const MemoryImage& image, const HeapModel& heap,
                           const Reachability& reach) {
  return Linker(image, heap, reach.lost).link();
}

}  // namespace heapscan

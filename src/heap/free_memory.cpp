#include "heapscan/heap/free_memory.h"

#include <algorithm>
#include <span>

#include "heapscan/image/intervals.h"

namespace heapscan {

namespace {

constexpr uint64_t kLinks = 32;      // of a free chunk, at its start: they stay
constexpr uint64_t kHeader = 16;     // from a chunk to its block
constexpr uint64_t kFencepost = 64;  // at the end of a heap that others follow, at most

bool can_be_joined(const Block& block) {
  return block.state() == BlockState::Binned || block.state() == BlockState::Fastbin;
}

bool is_free(const Block& block) {
  return can_be_joined(block) || block.state() == BlockState::Tcache ||
         block.state() == BlockState::Top;
}

// What lies in one stretch of an arena's memory, added to the arena.
class RangeReader {
 public:
  RangeReader(const MemoryImage& image, const HeapModel& heap, const HeapRange& range,
              ArenaFree& arena)
      : image_(image), heap_(heap), range_(range), arena_(arena) {}

  void read(size_t first, size_t end) {
    for (size_t i = first; i < end; ++i) add(BlockId(i));
    close(BlockId::none(), range_.range.end());
    for (const Found& found : found_) keep(found);
  }

 private:
  struct Found {
    FreeStretch stretch;
    uint64_t blocks_before = 0;  // in use, in this range
    uint64_t bytes_before = 0;
  };

  void add(BlockId id) {
    const Block& block = heap_.block(id);
    if (is_free(block)) {
      arena_.free_bytes += block.size();
      arena_.page_bytes += page_bytes(block);
    }
    if (block.state() == BlockState::Top) return add_end(block);
    if (can_be_joined(block)) {
      if (open_.bytes == 0) open_.begin = block.begin();
      open_.bytes += block.size();
      open_.page_bytes += page_bytes(block);
      return;
    }
    const bool is_fencepost = block.state() == BlockState::Bookkeeping &&
                              range_.range.end() - block.begin() <= kFencepost;
    if (is_fencepost) return;
    close(id, block.begin() - kHeader);
    last_ = id;
    ++blocks_;
    bytes_ += block.size();
    if (block.state() == BlockState::Used) arena_.used_bytes += block.size();
  }

  void close(BlockId pin, Addr end) {
    if (open_.bytes > 0) {
      open_.pin = pin;
      open_.bytes = end - open_.begin;
      found_.push_back({open_, blocks_, bytes_});
      // More than a few would only be thrown away at the end.
      if (found_.size() > 4 * ArenaFree::kStretches) drop_smallest();
    }
    open_ = {};
  }

  void drop_smallest() {
    std::partial_sort(
        found_.begin(), found_.begin() + ArenaFree::kStretches, found_.end(),
        [](const Found& a, const Found& b) {
          return a.stretch.bytes > b.stretch.bytes ||
                 (a.stretch.bytes == b.stretch.bytes && a.stretch.begin < b.stretch.begin);
        });
    found_.resize(ArenaFree::kStretches);
  }

  void keep(const Found& found) {
    FreeStretch stretch = found.stretch;
    stretch.above_blocks = blocks_ - found.blocks_before;
    stretch.above_bytes = bytes_ - found.bytes_before;
    arena_.stretches.push_back(stretch);
  }

  // Freed blocks in front of it belong to it as soon as they are joined.
  void add_end(const Block& top) {
    open_ = {};
    const AddrRange pages((top.begin() + kLinks).align_up(kPage),
                          top.range().end().align_down(kPage));
    arena_.end_bytes += pages.begin() < pages.end() ? pages.size() : 0;
    arena_.last = last_;
  }

  [[nodiscard]] uint64_t page_bytes(const Block& block) const {
    const AddrRange pages = trimmable_pages(block, heap_.arenas);
    if (pages.empty()) return 0;
    return image_.residency() ? common_bytes(image_.residency()->resident, pages) : pages.size();
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  const HeapRange& range_;
  ArenaFree& arena_;
  FreeStretch open_;
  BlockId last_;
  uint64_t blocks_ = 0;  // in use so far
  uint64_t bytes_ = 0;
  std::vector<Found> found_;
};

void keep_largest(std::vector<FreeStretch>& stretches) {
  std::sort(stretches.begin(), stretches.end(), [](const FreeStretch& a, const FreeStretch& b) {
    return a.bytes > b.bytes || (a.bytes == b.bytes && a.begin < b.begin);
  });
  if (stretches.size() > ArenaFree::kStretches) stretches.resize(ArenaFree::kStretches);
}

}  // namespace

AddrRange trimmable_pages(const Block& block, const std::vector<Arena>& arenas) {
  const bool is_end = block.state() == BlockState::Top;
  if (!is_end && block.state() != BlockState::Binned) return {};
  if (is_end && !(block.arena().valid() && arenas[block.arena().index()].is_main)) return {};
  if (block.size() < kPage) return {};
  const Addr begin = (block.begin() + kLinks).align_up(kPage);
  const Addr end = block.range().end().align_down(kPage);
  return begin < end ? AddrRange(begin, end) : AddrRange();
}

std::vector<BlockId> FreeMemory::pins() const {
  std::vector<BlockId> pins;
  for (size_t i = 0; i < arenas.size(); ++i) {
    const ArenaFree& arena = arenas[ArenaId(i)];
    if (arena.last.valid()) pins.push_back(arena.last);
    for (const FreeStretch& stretch : arena.stretches) {
      if (stretch.pin.valid()) pins.push_back(stretch.pin);
    }
  }
  std::sort(pins.begin(), pins.end());
  pins.erase(std::unique(pins.begin(), pins.end()), pins.end());
  return pins;
}

FreeMemory find_free_memory(const MemoryImage& image, const HeapModel& heap) {
  FreeMemory memory;
  memory.arenas = Column<ArenaId, ArenaFree>(heap.arenas.size());
  size_t next = 0;  // block
  for (const HeapRange& range : heap.ranges) {
    while (next < heap.blocks.size() && heap.blocks[next].begin() < range.range.begin()) ++next;
    const size_t first = next;
    while (next < heap.blocks.size() && heap.blocks[next].begin() < range.range.end()) ++next;
    if (range.arena.valid())
      RangeReader(image, heap, range, memory.arenas[range.arena]).read(first, next);
  }
  for (size_t i = 0; i < memory.arenas.size(); ++i) {
    ArenaFree& arena = memory.arenas[ArenaId(i)];
    keep_largest(arena.stretches);
    memory.used_bytes += arena.used_bytes;
    memory.free_bytes += arena.free_bytes;
    memory.page_bytes += arena.page_bytes;
  }
  return memory;
}

}  // namespace heapscan

// Reading the memory of blocks: where it lies, and how to go through much of it without waiting.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "heapscan/heap/block_index.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Brings bytes into the nearest cache, in ascending order: what comes next is seen by the processor
// itself, so that this costs far less than waiting for some of it here and there. For a few pages of
// which much will be read.
inline void fetch(Bytes bytes) {
  constexpr size_t kCacheLine = 64;
  for (size_t i = 0; i < bytes.size(); i += kCacheLine)
    static_cast<void>(*static_cast<const volatile std::byte*>(bytes.data() + i));
}

// ---- where it lies ------------------------------------------------------------------------------

// Where the bytes of blocks lie in our own memory, so that scanning a block needs no search through
// regions.

class BlockMemory {
 public:
  // Refers to both, which must outlive it.
  BlockMemory(const MemoryImage& image, const HeapModel& heap);

  // Blocks up to this many bytes are scanned as they lie; in larger ones stretches never touched
  // are left out.
  static constexpr uint64_t kDirect = 16 << 10;

  // The bytes at `address` in range `range` of the index; null when the range is not saved in one
  // piece.
  [[nodiscard]] const std::byte* at(uint32_t range, uint64_t address) const {
    const Base& base = bases_[range];
    return base.host == nullptr ? nullptr : base.host + (address - base.begin);
  }

  // Calls f(address, bytes) for the saved stretches of `part`, which lies within a block of range
  // `range`. Stretches begin at multiples of 8.
  template <typename F>
  void for_each_span(uint32_t range, AddrRange part, F&& f) const {
    if (part.size() <= kDirect) {
      if (const std::byte* bytes = at(range, part.begin().value)) {
        f(part.begin(), Bytes(bytes, part.size()));
        return;
      }
    }
    image_.for_each_span(part, [&](Addr begin, Bytes bytes) {
      const uint64_t skip = begin.align_up(8) - begin;
      if (skip < bytes.size()) f(begin + skip, bytes.subspan(skip));
    });
  }

  // Calls f(begin, bytes, i) for each aligned word of `part`, likewise, that may lead to a block: it
  // lies at bytes[i], which is the address begin + i. Of blocks that have none only bits are read.
  template <typename F>
  void for_each_pointer(uint32_t range, AddrRange part, F&& f) const {
    if (tells_of(range)) {
      const Bytes bytes(at(range, part.begin().value), part.size());
      heap_.pointers.for_each(range, part.begin().value, part.size(),
                              [&](uint64_t i) { f(part.begin(), bytes, i); });
      return;
    }
    for_each_span(range, part, [&](Addr begin, Bytes bytes) {
      for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        if (heap_.index.is_near(load<uint64_t>(bytes.data() + i))) f(begin, bytes, i);
      }
    });
  }
  // Whether it is known, of every block in the range, if it has such words.
  [[nodiscard]] bool tells_of(uint32_t range) const {
    return bases_[range].host != nullptr && heap_.pointers.knows(range);
  }
  // Fetches the memory of a few dozen rows of which many will be read; `range` is that of the first.
  // False when they do not lie near enough to each other, or are not saved in one piece.
  bool fetch(uint32_t range, size_t first_row, size_t end_row) const {
    constexpr uint64_t kMostFetched = 32 << 10;
    const Addr begin = heap_.blocks[first_row].begin();
    const Addr end = heap_.blocks[end_row - 1].range().end();
    const std::byte* const bytes = at(range, begin.value);
    const bool is_near =
        end.value <= heap_.index.ranges()[range].end && end - begin <= kMostFetched;
    if (bytes == nullptr || !is_near) return false;
    heapscan::fetch(Bytes(bytes, end - begin));
    return true;
  }
  // How many such words `part` has, where that is known.
  [[nodiscard]] uint64_t count_pointers(uint32_t range, AddrRange part) const {
    return heap_.pointers.count(range, part.begin().value, part.size());
  }
  // Whether `part` has such words, where that is known.
  [[nodiscard]] bool has_pointers(uint32_t range, AddrRange part) const {
    return heap_.pointers.any(range, part.begin().value, part.size());
  }

 private:
  struct Base {
    const std::byte* host = nullptr;
    uint64_t begin = 0;
  };
  const MemoryImage& image_;
  const HeapModel& heap_;
  std::vector<Base> bases_;
};

// ---- reading much of it -------------------------------------------------------------------------

// Reading many blocks and following many words at the speed of memory rather than of its latency.
//
// Each word that may be a pointer needs its entry in the block index, each block its row and its
// bytes, and all of these are cache misses. So nothing is used when it is found: it is announced,
// which fetches what will be needed, and used some steps later, when that has arrived.
//
//   BlockReader reader(heap, memory);
//   PointerStream<uint32_t> pointers(heap.index);
//   for (size_t i = 0; i < blocks.size(); ++i) {
//     if (i + kAhead < blocks.size()) reader.announce_bytes(blocks[i + kAhead]);
//     reader.for_each_pointer(heap.block(blocks[i]).range(), [&](Addr, Bytes bytes, size_t at) {
//       const auto word = load<uint64_t>(bytes.data() + at);
//       const uint32_t range = heap.index.range_at(word);
//       if (range != BlockIndex::kNoRange) pointers.push({word, range, i}, found);
//     });
//   }
//   pointers.flush(found);
//
// For one thread each.

// Words on their way to the blocks they lead to, each with what its finder wants to know then.
template <typename Tag>
class PointerStream {
 public:
  struct Pointer {
    uint64_t value = 0;
    uint32_t range = BlockIndex::kNoRange;  // of the index: `value` lies in it
    [[no_unique_address]] Tag tag = {};
  };

  // Refers to the index, which must outlive it.
  explicit PointerStream(const BlockIndex& index) : index_(index) {}

  // Calls found(pointer, block) for the one that has waited longest, if kWaiting do. `block` is the
  // last that begins at or below the value: whether it reaches that far is in its row. None when
  // there is none in the range.
  template <typename F>
  void push(const Pointer& pointer, F&& found) {
    index_.prefetch(index_.ranges()[pointer.range], pointer.value);
    turn(pointer, found);
  }
  // Calls it for all that still wait.
  template <typename F>
  void flush(F&& found) {
    for (size_t i = 0; i < kWaiting; ++i) turn({}, found);
  }

 private:
  static constexpr size_t kWaiting = 16;

  template <typename F>
  void turn(const Pointer& pointer, F& found) {
    const Pointer oldest = std::exchange(waiting_[next_++ % kWaiting], pointer);
    if (oldest.range == BlockIndex::kNoRange) return;
    found(oldest, index_.block_before(index_.ranges()[oldest.range], oldest.value));
  }

  const BlockIndex& index_;
  std::array<Pointer, kWaiting> waiting_{};
  size_t next_ = 0;
};

// The bytes of blocks that are mostly read in ascending order.
class BlockReader {
 public:
  static constexpr uint64_t kAnnounced =
      256;  // bytes of a block; the processor sees by itself that the rest is wanted

  // Refers to both, which must outlive it.
  BlockReader(const HeapModel& heap, const BlockMemory& memory) : heap_(heap), memory_(memory) {}

  // Rows first, bytes some blocks later: announcing bytes needs the row.
  void announce_row(BlockId id) const { __builtin_prefetch(&heap_.block(id)); }
  void announce_bytes(BlockId id, uint64_t most = kAnnounced) {
    const AddrRange bytes = heap_.block(id).range();
    const std::byte* const at = memory_.at(range_of(bytes.begin()), bytes.begin().value);
    if (at == nullptr) return;
    for (uint64_t i = 0; i < std::min(bytes.size(), most); i += kCacheLine)
      __builtin_prefetch(at + i);
  }
  // The same for each of `blocks`, which ascend, one after the other: where they are most of the
  // heap there, all of its memory is fetched instead.
  void announce_bytes_in_turn(std::span<const BlockId> blocks, size_t at,
                              uint64_t most = kAnnounced) {
    if (at % kFetchedBlocks == 0) is_fetched_ = fetch(blocks.subspan(at));
    if (!is_fetched_) announce_bytes(blocks[at], most);
  }

  // The range of the index that the block lies in which begins at `begin`.
  [[nodiscard]] uint32_t range_of(Addr begin) {
    if (begin.value - range_.begin >= range_.end - range_.begin) {
      range_number_ = heap_.index.range_at(begin.value);
      range_ = heap_.index.ranges()[range_number_];
    }
    return range_number_;
  }
  // The block that begins at `begin`, in one piece; null when it is not saved in one.
  [[nodiscard]] const std::byte* bytes_at(Addr begin) {
    return memory_.at(range_of(begin), begin.value);
  }
  // Calls f(address, bytes) for the saved stretches of `part`, which lies within a block.
  template <typename F>
  void for_each_span(AddrRange part, F&& f) {
    memory_.for_each_span(range_of(part.begin()), part, f);
  }
  // Calls f(begin, bytes, i) for its words that may lead to a block; see BlockMemory.
  template <typename F>
  void for_each_pointer(AddrRange part, F&& f) {
    memory_.for_each_pointer(range_of(part.begin()), part, f);
  }

 private:
  static constexpr uint64_t kCacheLine = 64;
  static constexpr size_t kFetchedBlocks = 32;

  bool fetch(std::span<const BlockId> blocks) {
    const auto next = blocks.first(std::min(blocks.size(), kFetchedBlocks));
    const size_t first = next.front().index();
    const size_t last = next.back().index();
    if (last - first >= 2 * next.size()) return false;
    return memory_.fetch(range_of(heap_.blocks[first].begin()), first, last + 1);
  }

  const HeapModel& heap_;
  const BlockMemory& memory_;
  BlockIndex::Range range_;
  uint32_t range_number_ = BlockIndex::kNoRange;
  bool is_fetched_ = false;  // the memory of the next blocks in turn
};

}  // namespace heapscan

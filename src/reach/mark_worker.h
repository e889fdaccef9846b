// One thread's part in the marker's walk: scanning memory for pointers and claiming the blocks they
// lead to.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "reach/hidden_pointers.h"
#include "reach/interior_rules.h"
#include "reach/marker.h"

namespace heapscan {

// Memory to scan that is not a block taken whole: part of a root range or of a large block.
struct MarkPiece {
  AddrRange range;
  uint32_t index_range = BlockIndex::kNoRange;  // of parts of blocks
  size_t funnel = kHeapRow;
  Addr block;  // of parts of blocks: where it begins
};
constexpr uint64_t kMarkPieceBytes = 256 << 10;

// What all workers of one walk share. A block in `unscanned` and not in `open` was claimed and
// waits for its scan: the two bitmaps alone say what is left to do.
struct MarkWalk {
  Marker::Mode mode;
  const MemoryImage& image;
  const HeapModel& heap;
  const BlockMemory& memory;
  const InteriorRules& rules;
  const StaleStores& left_out;
  const BlockBitmap& holed;      // blocks that it has stretches of
  BlockBitmap& open;             // not claimed
  const BlockBitmap& unreached;  // interior pointers at others are not worth handing back
  BlockBitmap& unscanned;
  std::span<const HiddenPointer> hidden;  // taken for words of the blocks they lie in; by place
  size_t most_listed;  // claimed blocks a worker keeps in its list; further ones are in the bitmaps
                       // only
  std::atomic<size_t> next = 0;  // the next piece of work of the step that is on
  std::atomic<size_t> idle = 0;  // workers that have none left
};

class MarkWorker {
 public:
  explicit MarkWorker(MarkWalk& walk);

  // Seeds: one word, as if it had been found in memory of this kind.
  void seed(uint64_t value, size_t funnel);
  // The same, known to be a start pointer whatever it looks like.
  void seed_start(uint64_t value, size_t funnel);

  // Steps. Each takes work until there is none and leaves what it claimed to the next one.

  void scan_pieces(std::span<const MarkPiece> pieces);
  // Scans every claimed block, in ascending order; `words_per_part` words of the bitmaps are taken
  // at a time.
  void sweep(size_t words_per_part);
  // Scans the blocks of `list` and all they lead to, unless that becomes too much or another worker
  // has nothing to do.
  void follow(std::span<const uint32_t> list);

  // Blocks claimed in the last step that may still have to be scanned, as far as they are listed.
  [[nodiscard]] std::vector<uint32_t>& claimed() { return claimed_; }
  // Whether there are more of them. Asking resets it.
  [[nodiscard]] bool take_overflow() { return std::exchange(overflow_, false); }
  // Parts of large blocks met in the last step.
  [[nodiscard]] std::vector<MarkPiece>& large() { return large_; }

  [[nodiscard]] std::vector<uint64_t>& handed_back() { return handed_back_; }
  [[nodiscard]] const Funnels& funnels() const { return funnels_; }

 private:
  static constexpr size_t kRowRing = 16;
  static constexpr size_t kBlockRing = 16;

  struct NoTag {};
  using Pointers = PointerStream<NoTag>;
  struct InFlight {
    AddrRange bytes;
    uint32_t range = BlockIndex::kNoRange;
    bool is_holed = false;
  };

  void scan_piece(const MarkPiece& piece);
  void scan(Bytes bytes);
  void scan_but_links(Addr begin, Addr at, Bytes bytes);
  [[nodiscard]] bool offer(uint64_t value);
  void enqueue(uint64_t value, uint32_t range);
  void flush_words();
  void resolve(const Pointers::Pointer& pointer, BlockId id);
  [[nodiscard]] bool is_start(const BlockIndex::Range& range, uint64_t value) const;
  [[nodiscard]] bool follow_interior(BlockId id, const Pointers::Pointer& pointer);
  [[nodiscard]] Bytes content_of(const Block& block, uint32_t range) const;
  void hand_back(uint64_t value);
  void claim(BlockId id);

  void feed(BlockId id);
  void drain();
  [[nodiscard]] InFlight arrive(BlockId id);
  void scan_block(const InFlight& block);
  void offer_hidden(AddrRange block);

  MarkWalk& walk_;
  const BlockIndex& index_;
  std::array<BlockIndex::Stretch, BlockIndex::kStretches> stretches_{};
  size_t stretch_count_ = 0;
  uint64_t low_ = 0;  // all stretches lie in [low_, low_ + span_)
  uint64_t span_ = 0;

  Pointers pointers_;
  std::array<BlockId, kRowRing> rows_{};
  std::array<InFlight, kBlockRing> blocks_{};
  size_t next_block_ = 0;
  size_t in_flight_ = 0;
  BlockReader reader_;

  std::vector<uint32_t> claimed_;
  bool overflow_ = false;
  std::vector<MarkPiece> large_;
  std::vector<uint64_t> handed_back_;
  size_t next_cleanup_;
  Funnels funnels_{};
  Funnel* row_ = &funnels_[kHeapRow];
};

void drop_duplicates(std::vector<uint64_t>& values);

}  // namespace heapscan

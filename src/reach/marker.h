// The parallel walk along pointers: from seeds to every block they lead to.
//
// A Marker claims blocks in a bitmap of those still open. What a word that points into the middle
// of a block is worth depends on the mode. The set of blocks claimed does not depend on the number
// of threads or their timing.
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
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "reach/interior_rules.h"
#include "reach/why_possible.h"

namespace heapscan {

// ---- the walk -----------------------------------------------------------------------------------

constexpr size_t kRootKinds = static_cast<size_t>(RootKind::IoUring) + 1;
constexpr size_t kHeapRow = kRootKinds;  // the funnel's row for words in blocks
using Funnels = std::array<Funnel, kRootKinds + 1>;

class Marker {
 public:
  enum class Mode {
    Firm,   // start pointers and explained interior ones are followed; others are handed back
    Loose,  // every pointer is followed
  };

  Marker(const MemoryImage& image, const HeapModel& heap, const BlockMemory& memory,
         const InteriorRules& rules, const StaleStores& left_out, const BlockBitmap& holed)
      : image_(image),
        heap_(heap),
        memory_(memory),
        rules_(rules),
        left_out_(left_out),
        holed_(holed) {}

  // From now on these, sorted by place, count as words of the blocks they lie in. Whoever hands
  // them over keeps them.
  void set_hidden(std::span<const HiddenPointer> hidden) { hidden_ = hidden; }

  // Follows the words of `ranges` and `words` of one strength, and `addresses` (each as if it had
  // been found in a heap block), then everything they lead to, claiming blocks in `open`. Words of
  // stale stretches are left out. Returns
  // the interior pointers met whose block's bit in `unreached` is set and which were not followed
  // firmly: sorted, each once.
  [[nodiscard]] std::vector<uint64_t> run(Mode mode, BlockBitmap& open,
                                          const BlockBitmap& unreached,
                                          std::span<const RootRange> ranges,
                                          std::span<const RootWord> words,
                                          std::span<const uint64_t> addresses, Funnels& funnels);

 private:
  const MemoryImage& image_;
  const HeapModel& heap_;
  const BlockMemory& memory_;
  const InteriorRules& rules_;
  const StaleStores& left_out_;
  const BlockBitmap& holed_;  // blocks that it has stretches of
  std::span<const HiddenPointer> hidden_;
};

// ---- one thread's part --------------------------------------------------------------------------

// One thread's part in the marker's walk: scanning memory for pointers and claiming the blocks they
// lead to.

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
  void scan_pointers(uint32_t range, AddrRange block);
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
  [[nodiscard]] bool is_known(const InFlight& block) const;
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

// Words that are no longer in use and were never cleared: where they lie, which of them are in use
// all the same, and what only they hold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// ---- where a word of an array leads, as far as the heap goes ------------------------------------

enum class Lead : uint8_t { Elsewhere, Null, Block, Middle, Freed };

class Leads {
 public:
  explicit Leads(const HeapModel& heap) : heap_(heap) {
    for (const BlockIndex::Stretch& stretch : heap.index.stretches()) {
      if (span_ == 0) low_ = stretch.begin;
      span_ = stretch.begin + stretch.size - low_;
    }
  }
  // Null, or what may be a pointer.
  [[nodiscard]] bool may_be_slot(uint64_t word) const {
    return word == 0 || (word - low_ < span_ && word % 8 == 0);
  }
  // `within`: pointers into the block they lie in are none of a table's.
  [[nodiscard]] Lead lead_of(uint64_t word, AddrRange within) const {
    if (word == 0) return Lead::Null;
    if (!may_be_slot(word) || within.contains(Addr(word))) return Lead::Elsewhere;
    const uint32_t number = heap_.index.range_at(word);
    if (number == BlockIndex::kNoRange) return Lead::Elsewhere;
    const BlockIndex::Range& range = heap_.index.ranges()[number];
    // Memory of a mapping that was given back is not there any more, so these tell nothing.
    if (range.first_word == BlockIndex::kNoGrid) return Lead::Block;
    const BlockId id = heap_.index.block_before(range, word);
    if (!id.valid()) return Lead::Freed;
    const Block& block = heap_.block(id);
    if (block.state() == BlockState::Bookkeeping) return Lead::Block;
    if (block.state() != BlockState::Used || !block.range().contains(Addr(word)))
      return Lead::Freed;
    return word == block.begin().value ? Lead::Block : Lead::Middle;
  }

 private:
  const HeapModel& heap_;
  uint64_t low_ = 0;
  uint64_t span_ = 0;
};

// ---- behind the end of what is in use -----------------------------------------------------------

// The room that arrays and strings have left: words behind the end of what is in use, which nobody
// cleared.

// A block part of which is spare, as its owner says.
struct SpareRoom {
  BlockId block;
  AddrRange range;        // spare, but for the first element: an owner may count from there
  Addr owner;             // where the words lie that say so
  uint64_t used_end = 0;  // an address
  StaleStore::Kind kind = StaleStore::Kind::BehindEnd;
  uint64_t words = 0;     // pointers among those in `range`
  uint64_t dangling = 0;  // of those: lead to freed memory, or into the middle of blocks
};

// Sorted by block, at most one of each; those in which there is no pointer are left out. One pass
// over blocks and roots. `arrays`: blocks that it knows of are left to it.
[[nodiscard]] std::vector<SpareRoom> find_spare_rooms(const MemoryImage& image,
                                                      const HeapModel& heap,
                                                      const BlockMemory& memory, const Roots& roots,
                                                      const StaleStores& arrays);

// For each of `rooms` (sorted by block) whether anything but its owner points to its spare part, or,
// from a block or a variable, to its block: then the owner may not be the owner any more. One pass
// over blocks and roots.
[[nodiscard]] std::vector<bool> find_disputed(const MemoryImage& image, const HeapModel& heap,
                                              const BlockMemory& memory, const Roots& roots,
                                              std::span<const SpareRoom> rooms);

// ---- where arrays of pointers that nobody cleared lead to freed memory --------------------------

// No smaller block is looked at.
constexpr uint64_t kSmallestStaleStore = 512;

// Finds the arrays of pointers in module data, blocks and mappings that lead mostly to freed
// memory. One pass over blocks of at least kSmallestStaleStore bytes and over module data.
[[nodiscard]] StaleStores find_stale_stores(const MemoryImage& image, const HeapModel& heap,
                                            const BlockMemory& memory, const Roots& roots);

// ---- where the owner of an array of slots may be at work in it ----------------------------------

struct SlotCursors {
  std::vector<uint64_t> slots;  // addresses, sorted
  std::vector<uint64_t>
      close;                // of these: pointers, and numbers right beside the store or a pointer
  bool is_complete = true;  // false: indices may count from somewhere else, or are not known
};

// Of each store the slots that some number or pointer may stand for: pointers at them from
// anywhere, and indices and counters near the store and near what points at it. One pass over roots
// and blocks.
[[nodiscard]] std::vector<SlotCursors> find_slot_cursors(const MemoryImage& image,
                                                         const RuntimeFacts& runtime,
                                                         const HeapModel& heap, const Roots& roots,
                                                         const StaleStores& stale);

// ---- which slots of an array that leads mostly to freed memory are in use all the same ----------

// A word of a stretch that points at a block or into it.
struct Slot {
  uint64_t at = 0;
  uint64_t value = 0;
  BlockId block;
  bool is_live = false;
};

// The slots of `stretch` that lead to blocks of `open`. Live are those between two cursors, if all
// there lead to blocks, each to another one, and those in a row of at least three whose blocks no
// other word of the stretch names, with none between them that dangles; and those at a close cursor
// or right before it.
[[nodiscard]] std::vector<Slot> slots_of(const MemoryImage& image, const HeapModel& heap,
                                         const StaleStretch& stretch, const BlockBitmap& open,
                                         const SlotCursors& cursors);

// ---- what only such words hold ------------------------------------------------------------------

// Keeps words of stale stores, arrays that dangle and the room that others have left, from holding
// anything by themselves, and says what only they hold.

class StaleTracing {
 public:
  StaleTracing(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap,
               const BlockMemory& memory, const Roots& roots);

  // Marking leaves the words of their stretches out.
  [[nodiscard]] const StaleStores& stores() const { return stores_; }
  // The blocks that have some.
  [[nodiscard]] const BlockBitmap& holed() const { return holed_; }

  // Words of live slots, in stores that are reachable, that lead to blocks not reached yet. Each is
  // handed out once.
  [[nodiscard]] std::vector<uint64_t> live_words(const BlockBitmap& unreached);

  // What of `unheld` stale slots name.
  struct Leftovers {
    std::vector<StaleHeld> held;  // sorted by block; each once
    std::vector<uint64_t> few;    // words that lead to blocks which are too few to be a leak
  };
  [[nodiscard]] Leftovers leftovers(const BlockBitmap& unreached, const BlockBitmap& unheld);

 private:
  struct Named {
    BlockId block;
    uint64_t word = 0;
    uint32_t store = 0;
    bool is_firm = false;  // the store is reachable, and what of it is in use is known
  };

  void add_rooms();
  [[nodiscard]] bool is_reached(const StaleStore& store, const BlockBitmap& unreached) const;
  [[nodiscard]] const SlotCursors& cursors_of(uint32_t store);
  [[nodiscard]] std::vector<Named> named_in_rooms(const BlockBitmap& unreached,
                                                  const BlockBitmap& unheld) const;
  template <typename F>
  void for_each_named(AddrRange range, const BlockBitmap& open, F&& f) const;

  const MemoryImage& image_;
  const RuntimeFacts& runtime_;
  const HeapModel& heap_;
  const BlockMemory& memory_;
  const Roots& roots_;
  const StaleStores arrays_;
  const std::vector<SpareRoom> rooms_;
  StaleStores stores_;  // the arrays, then the rooms
  BlockBitmap holed_;
  std::vector<SlotCursors> cursors_;     // looked up when first needed
  std::vector<uint64_t> handed_out_;     // sorted
  uint64_t left_before_ = ~uint64_t{0};  // blocks not reached when last asked
};

}  // namespace heapscan

// Keeps words of stale stores, arrays that dangle and the room that others have left, from holding
// anything by themselves, and says what only they hold.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/reach/stale_stores.h"
#include "heapscan/runtime/runtime_facts.h"
#include "reach/slot_cursors.h"
#include "reach/spare_room.h"

namespace heapscan {

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

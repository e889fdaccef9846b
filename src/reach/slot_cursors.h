// Where the owner of an array of slots may be at work in it.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/roots.h"
#include "heapscan/reach/stale_stores.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

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

}  // namespace heapscan

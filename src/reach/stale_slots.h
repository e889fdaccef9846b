// Which slots of an array that leads mostly to freed memory are in use all the same.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/stale_stores.h"
#include "reach/slot_cursors.h"

namespace heapscan {

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

}  // namespace heapscan

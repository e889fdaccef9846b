// One verdict for every block, and what they add up to.
#pragma once

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

// The blocks that get a verdict other than NotJudged.
[[nodiscard]] BlockBitmap judged_blocks(const HeapModel& heap);

// Fills in `verdicts` and both totals. `judged`, without `unreached`, is reachable; `unreached`
// without `unheld` possible; the rest is what result.lost lists.
void give_verdicts(const HeapModel& heap, const BlockBitmap& judged, const BlockBitmap& unreached,
                   const BlockBitmap& unheld, Reachability& result);

}  // namespace heapscan

// From marks to verdicts.
#pragma once

#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

// ---- what heads what ----------------------------------------------------------------------------

// Which lost block heads what: the strongly connected components of the lost blocks and who is
// reached from whom.

// One row per block of `lost`, sorted by block. A component nothing lost points into has one head:
// the block that its others hang on, where there is one, else its lowest address. Every other block
// belongs to one head that reaches it. Words of `stale` stretches, in the blocks `holed`, lead
// nowhere.
[[nodiscard]] std::vector<LostBlock> find_lost_components(const HeapModel& heap,
                                                          const BlockMemory& memory,
                                                          const BlockBitmap& lost,
                                                          const StaleStores& stale,
                                                          const BlockBitmap& holed);

// ---- one verdict for every block, and what they add up to ---------------------------------------

// The blocks that get a verdict other than NotJudged.
[[nodiscard]] BlockBitmap judged_blocks(const HeapModel& heap);

// Fills in `verdicts` and both totals. `judged`, without `unreached`, is reachable; `unreached`
// without `unheld` possible; the rest is what result.lost lists.
void give_verdicts(const HeapModel& heap, const BlockBitmap& judged, const BlockBitmap& unreached,
                   const BlockBitmap& unheld, Reachability& result);

}  // namespace heapscan

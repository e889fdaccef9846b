// Which lost block heads what: the strongly connected components of the lost blocks and who is
// reached from whom.
#pragma once

#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/stale_stores.h"

namespace heapscan {

// One row per block of `lost`, sorted by block. A component nothing lost points into has one head:
// the block that its others hang on, where there is one, else its lowest address. Every other block
// belongs to one head that reaches it. Words of `stale` stretches, in the blocks `holed`, lead
// nowhere.
[[nodiscard]] std::vector<LostBlock> find_lost_components(const HeapModel& heap,
                                                          const BlockMemory& memory,
                                                          const BlockBitmap& lost,
                                                          const StaleStores& stale,
                                                          const BlockBitmap& holed);

}  // namespace heapscan

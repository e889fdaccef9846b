// Which lost block heads what: the strongly connected components of the lost blocks and who is
// reached from whom.
#pragma once

#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"

namespace heapscan {

// One row per block of `lost`, sorted by block. A component nothing lost points into has one head,
// its lowest address; every other block belongs to the head with the lowest address that reaches
// it.
[[nodiscard]] std::vector<LostBlock> find_lost_components(const HeapModel& heap,
                                                          const BlockMemory& memory,
                                                          const BlockBitmap& lost);

}  // namespace heapscan

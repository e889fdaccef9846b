// Intrusive links, found by their consistency: many blocks of one size, all held at the same
// offset.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "reach/interior_rules.h"

namespace heapscan {

// `interior`: every interior pointer at a block not firmly reached, sorted, each once. `held`:
// those blocks. Sorted.
[[nodiscard]] std::vector<LinkClass> find_consistent_links(const HeapModel& heap,
                                                           std::span<const uint64_t> interior,
                                                           const BlockBitmap& held);

}  // namespace heapscan

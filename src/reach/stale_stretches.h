// Where arrays of pointers that nobody cleared lead to freed memory.
#pragma once

#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/roots.h"
#include "heapscan/reach/stale_stores.h"

namespace heapscan {

// No smaller block is looked at.
constexpr uint64_t kSmallestStaleStore = 512;

// Finds the arrays of pointers in module data, blocks and mappings that lead mostly to freed
// memory. One pass over blocks of at least kSmallestStaleStore bytes and over module data.
[[nodiscard]] StaleStores find_stale_stores(const MemoryImage& image, const HeapModel& heap,
                                            const BlockMemory& memory, const Roots& roots);

}  // namespace heapscan

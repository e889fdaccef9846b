// Raw anonymous mappings: memory the program mapped itself. Each becomes a block of its own kind.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/thread_areas.h"
#include "heapscan/image/image.h"

namespace heapscan {

// The mappings of threads' stacks, guards and descriptors included. Sorted, disjoint, whole pages.
[[nodiscard]] std::vector<AddrRange> thread_stacks(const MemoryImage& image,
                                                   const ThreadAreas& threads);
// The rest of what threads and the loader have, likewise.
[[nodiscard]] std::vector<AddrRange> thread_and_loader_memory(const ThreadAreas& threads);

// What is left of private anonymous memory without `taken` (sorted, disjoint). Sorted, disjoint.
[[nodiscard]] std::vector<AddrRange> find_mappings(const MemoryImage& image,
                                                   const std::vector<AddrRange>& taken);

}  // namespace heapscan

// Raw anonymous mappings: memory the program mapped itself. Each becomes a block of its own kind.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/thread_areas.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Memory of threads and of the loader: no raw mapping. Sorted, disjoint, whole pages.
[[nodiscard]] std::vector<AddrRange> thread_and_loader_memory(const MemoryImage& image, const ThreadAreas& threads);

// What is left of private anonymous memory without `taken` (sorted, disjoint). Sorted, disjoint.
[[nodiscard]] std::vector<AddrRange> find_mappings(const MemoryImage& image, const std::vector<AddrRange>& taken);

}  // namespace heapscan

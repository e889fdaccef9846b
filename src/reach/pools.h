// Blocks that are parcelled out by the program itself, found by how many of their parts are named.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"

namespace heapscan {

// The begins of blocks which `interior` (sorted, each once: pointers found in reachable memory)
// names at several places, or at one when their own parts name each other; ascending.
[[nodiscard]] std::vector<uint64_t> find_pools(const MemoryImage& image, const HeapModel& heap,
                                               std::span<const uint64_t> interior);

// The begins of blocks that themselves hold, twice or more, one of the addresses by which
// `interior` names them: objects that know where they begin, behind something else. Ascending.
[[nodiscard]] std::vector<uint64_t> find_self_named(const MemoryImage& image, const HeapModel& heap,
                                                    std::span<const uint64_t> interior);

}  // namespace heapscan

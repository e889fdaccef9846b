// Names for groups of blocks that are the same in another run of the program.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// One per row of `groups`, whose samples must be chosen.
[[nodiscard]] std::vector<uint64_t> make_fingerprints(const MemoryImage& image,
                                                      const Symbols& symbols,
                                                      const RuntimeFacts& runtime,
                                                      const HeapModel& heap,
                                                      const Clusters& groups);

}  // namespace heapscan

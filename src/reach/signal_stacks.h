// Lost blocks that the kernel may hold: stacks set with sigaltstack() whose address the program
// forgot.
#pragma once

#include <span>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// Those of `lost`, with the reason why; sorted by block.
[[nodiscard]] std::vector<PossibleBlock> find_signal_stacks(const MemoryImage& image,
                                                            const RuntimeFacts& runtime,
                                                            const HeapModel& heap,
                                                            std::span<const LostBlock> lost);

}  // namespace heapscan

// Which block stands for a ring of lost blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "reach/lost_graph.h"

namespace heapscan {

// `head_of` says the head of each number, of a ring any block of it; afterwards the block that
// looks like the one the others hang on, where there is one.
void choose_ring_heads(const HeapModel& heap, const BlockMemory& memory, const LostGraph& graph,
                       std::vector<uint32_t>& head_of);

}  // namespace heapscan

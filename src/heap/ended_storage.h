// Blocks that hold what the C library still keeps for threads that have ended. They look used, but
// the program cannot get at them any more: they are bookkeeping, and nothing in them counts.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// For an allocator's walk, once `heap` has its blocks and index.
void mark_ended_storage(const RuntimeFacts& runtime, HeapModel& heap);

}  // namespace heapscan

// What threads add to the roots: their registers, what they keep alive, and the blocks they are at
// work on.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "reach/root_collector.h"

namespace heapscan {

// General registers but segments, bases and flags; vector registers out of the XSAVE area.
void add_registers(const Thread& thread, RootCollector& roots);

void add_thread_roots(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap,
                      RootCollector& roots);

// To be called before or after other roots: it claims no memory, and adds start pointers of kind
// InTransit.
void add_blocks_in_transit(const MemoryImage& image, const HeapModel& heap, RootCollector& roots);

}  // namespace heapscan

// Blocks that threads inside malloc or free are at work on.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "reach/root_collector.h"

namespace heapscan {

// To be called before or after other roots: it claims no memory, and adds start pointers of kind
// InTransit.
void add_blocks_in_transit(const MemoryImage& image, const HeapModel& heap, RootCollector& roots);

}  // namespace heapscan

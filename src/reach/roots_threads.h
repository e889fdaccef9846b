// What threads keep alive: stacks, thread-local storage, results.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "reach/root_collector.h"

namespace heapscan {

void add_thread_roots(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap,
                      RootCollector& roots);

}  // namespace heapscan

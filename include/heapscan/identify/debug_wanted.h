// What of the debug information is worth reading, for the blocks at hand: reading all of it takes
// longer than everything else, and most of it describes what no block is made of.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/families.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/debug_info.h"

namespace heapscan {

// Modules whose types are worth reading: all that `debug_info` describes, but of the C library and
// the loader only those that some family's first sample points into. Their debug information is on
// many machines, and seldom what a program's blocks are made of.
[[nodiscard]] std::vector<ModuleId> modules_worth_reading(const MemoryImage& image,
                                                          const RuntimeFacts& runtime,
                                                          const HeapModel& heap,
                                                          const Families& families,
                                                          const DebugInfo& debug_info);

// Code that the clusters' first samples point at, whose source lines a report may show: sorted,
// each once, and no more than a report can use.
[[nodiscard]] std::vector<Addr> functions_pointed_at(const MemoryImage& image,
                                                     const RuntimeFacts& runtime,
                                                     const HeapModel& heap,
                                                     const Clusters& clusters);

}  // namespace heapscan

// Who holds the live memory.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/held_containers.h"
#include "heapscan/identify/root_groups.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/live_graph.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/retained.h"
#include "heapscan/reach/roots.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

struct Holding {
  LiveGraph graph;
  NamedRoots roots;
  Retained retained;
  HeldContainers containers;  // what of that lies in which, once somebody has looked for them
};

// Takes one pass over the live blocks and a walk along their pointers, and at its height about 30
// bytes per block. Throws Error (Unsupported) for more than 2^32 pointers.
[[nodiscard]] Holding find_holding(const MemoryImage& image, const Symbols& symbols,
                                   const Types& types, const HeapModel& heap, const Roots& roots,
                                   const Reachability& reach);

}  // namespace heapscan

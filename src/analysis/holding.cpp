#include "heapscan/analysis/holding.h"

namespace heapscan {

Holding find_holding(const MemoryImage& image, const Symbols& symbols, const Types& types,
                     const HeapModel& heap, const Roots& roots, const Reachability& reach) {
  Holding holding;
  holding.graph = build_live_graph(image, heap, roots, reach);
  holding.roots = name_roots(image, symbols, types, roots, holding.graph);
  holding.retained = find_retained(image, heap, holding.graph, holding.roots.groups);
  return holding;
}

}  // namespace heapscan

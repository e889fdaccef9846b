// Which node every path to a node leads through: the dominator tree of a graph.
#pragma once

#include <cstdint>

#include "heapscan/base/growing_array.h"
#include "heapscan/reach/live_graph.h"

namespace heapscan {

// Rows are the nodes that `root` leads to, in the order in which a depth-first walk from it first
// meets them: row 0 is the root, and a row's parent comes before it.
struct DominatorTree {
  GrowingArray<uint32_t> node;    // row -> node of the graph
  GrowingArray<uint32_t> parent;  // row -> row of the nearest node that every path leads through;
                                  // of row 0: 0
  [[nodiscard]] size_t size() const { return node.size(); }
};

// At its height takes 20 bytes per node and 8 per edge that does not lead onwards in the walk.
[[nodiscard]] DominatorTree find_dominators(const LiveGraph& graph, uint32_t root);

}  // namespace heapscan

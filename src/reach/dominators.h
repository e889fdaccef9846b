// Which node every path to a node leads through: the dominator tree of a graph.
#pragma once

#include <cstdint>

#include "heapscan/base/growing_array.h"
#include "heapscan/reach/live_graph.h"

namespace heapscan {

// Rows are the nodes that have edges and that `root` leads to, in the order in which a depth-first
// walk from it first meets them: row 0 is the root, and a row's parent comes before it. A leaf, a
// node without edges, dominates nothing and needs no row unless it is the root.
struct DominatorTree {
  GrowingArray<uint32_t> node;    // row -> node of the graph
  GrowingArray<uint32_t> parent;  // row -> row of the nearest node that every path leads through;
                                  // of row 0: 0
  // Node -> of a leaf that `root` leads to, 1 + the row of that nearest node; 0: no such leaf.
  GrowingArray<uint32_t> above_leaf;
  [[nodiscard]] size_t size() const { return node.size(); }
};

// At its height takes 4 bytes per node, 20 more per row, and 8 per edge that does
// not lead onwards in the walk. Graphs have fewer than 2^31 nodes.
[[nodiscard]] DominatorTree find_dominators(const LiveGraph& graph, uint32_t root);

}  // namespace heapscan

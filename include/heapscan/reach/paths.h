// How a root gets at a block: the shortest chains of pointers.
#pragma once

#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/reach/live_graph.h"

namespace heapscan {

struct Path {
  RootPointer from;             // leads to the first of the blocks
  std::vector<BlockId> blocks;  // each has a pointer to the next; the last is the one asked for
};

// Shortest first, at most `most`: no two have the same last pointer, that is the same root pointer
// or the same block before the last. Empty
// for a block that is not reachable or whose pointers are not known.
[[nodiscard]] std::vector<Path> shortest_paths(const LiveGraph& graph, BlockId to, size_t most);

}  // namespace heapscan

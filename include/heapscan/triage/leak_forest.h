// What hangs below what was lost: the lost blocks as trees, alike trees folded into one.
//
// Every lost block belongs to the head that Reachability names for it, so direct and indirect bytes
// add up to what is lost, and a block that two heads lead to is counted once. Within a component
// the tree is the breadth-first one, in order of offsets. A list of a thousand equal nodes is one
// node of the folded tree that leads back to itself, and so is a ring.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/triage/suppressions.h"

namespace heapscan {

struct TreeNode {
  static constexpr uint32_t kNoParent = ~uint32_t{0};
  ClusterId cluster;
  uint32_t parent = kNoParent;  // index into LeakTree::nodes; the root has none
  uint64_t offset = 0;          // in the parent's block: the commonest place of the pointer
  uint64_t blocks = 0;          // over all trees
  uint64_t bytes = 0;
  bool repeats = false;  // such blocks also hang below each other: a list, a tree or a ring
};

// All components whose head is of one cluster.
struct LeakTree {
  ClusterId cluster;
  uint64_t heads = 0;
  uint64_t head_bytes = 0;
  uint64_t below = 0;  // blocks
  uint64_t below_bytes = 0;
  uint64_t alike = 0;  // heads whose tree has the commonest shape
  BlockId example;     // the lowest head of that shape
  std::vector<TreeNode>
      nodes;              // parents before children, heaviest child first; the root is nodes[0]
  uint64_t left_out = 0;  // kinds of nodes beyond kMostNodes; their blocks count in `below`
  static constexpr size_t kMostNodes = 64;
};

struct LeakForest {
  std::vector<LeakTree> trees;  // by bytes with what is below, largest first
};

// Suppressed blocks are left out. Whatever they lead to is suppressed with them, so no other block
// loses its parent or its head.
[[nodiscard]] LeakForest fold_lost_trees(const MemoryImage& image, const HeapModel& heap,
                                         const Reachability& reach, const Clusters& clusters,
                                         const Suppressed& suppressed);

}  // namespace heapscan

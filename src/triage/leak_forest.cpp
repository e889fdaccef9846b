// Every lost block is mapped to a node of the folded forest by its cluster and its parent's node,
// in the order of the search, so that the parent's is known. A block of a cluster that already lies
// on the way up to the root goes to the node there, which thereby leads back to itself: lists,
// trees and rings of any length end up as their kinds of blocks, and no path is longer than there
// are clusters.
//
// Two trees have one shape when they consist of the same nodes, however often.
#include "heapscan/triage/leak_forest.h"

#include <algorithm>
#include <array>
#include <queue>
#include <unordered_map>

#include "heapscan/base/hash.h"
#include "heapscan/base/key_index.h"
#include "triage/leak_forest_links.h"

namespace heapscan {

namespace {

constexpr uint32_t kNone = ~uint32_t{0};
constexpr int kSearchedUp = 48;  // levels; longer circles of clusters are not closed

// The commonest of many offsets, as far as the first few distinct ones tell.
class OffsetCounts {
 public:
  void add(uint32_t offset) {
    for (Entry& entry : entries_) {
      if (entry.count != 0 && entry.offset != offset) continue;
      entry.offset = offset;
      ++entry.count;
      return;
    }
  }
  [[nodiscard]] uint32_t commonest() const {
    return std::max_element(entries_.begin(), entries_.end(),
                            [](const Entry& a, const Entry& b) { return a.count < b.count; })
        ->offset;
  }

 private:
  struct Entry {
    uint32_t offset = 0;
    uint32_t count = 0;
  };
  std::array<Entry, 6> entries_{};
};

struct FoldedNode {
  ClusterId cluster;
  uint32_t parent = kNone;
  uint32_t root = kNone;
  OffsetCounts offsets;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  uint64_t subtree_blocks = 0;
  uint64_t subtree_bytes = 0;
  bool repeats = false;
  uint32_t last_seen = kNone;  // the head of the last component that had it
};

struct ShapeCount {
  uint64_t heads = 0;
  BlockId first;
};

class Folder {
 public:
  Folder(const HeapModel& heap, const Reachability& reach, const Clusters& clusters,
         const Suppressed& suppressed)
      : heap_(heap), reach_(reach), suppressed_(suppressed) {
    cluster_of_.reserve(reach.lost.size());
    for (const LostBlock& lost : reach.lost) cluster_of_.push_back(clusters.of(lost.block));
  }

  void fold(const LostLinks& links) {
    node_of_.assign(links.order.size(), kNone);
    uint64_t shape = 0;
    uint32_t head = kNone;
    for (const uint32_t number : links.order) {
      // A mapping is in no cluster, and what it holds is not lost for certain.
      if (suppressed_.has(reach_.lost[number].block) || !cluster_of_[number].valid()) continue;
      const uint32_t parent = links.parent[number];
      const bool is_head = parent == LostLinks::kNone || node_of_[parent] == kNone;
      if (is_head) {
        if (head != kNone) count_shape(head, shape);
        head = number;
        shape = 0;
      }
      const uint32_t node =
          is_head ? root_for(cluster_of_[number]) : node_below(node_of_[parent], number);
      node_of_[number] = node;
      FoldedNode& folded = nodes_[node];
      ++folded.blocks;
      folded.bytes += heap_.block(reach_.lost[number].block).size();
      if (!is_head && node != node_of_[parent]) folded.offsets.add(links.offset[number]);
      if (folded.last_seen == head) continue;
      folded.last_seen = head;
      shape += mix(node);
    }
    if (head != kNone) count_shape(head, shape);
    sum_subtrees();
  }

  [[nodiscard]] LeakForest forest() {
    LeakForest forest;
    std::vector<std::vector<uint32_t>> children(nodes_.size());
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].parent != kNone) children[nodes_[i].parent].push_back(i);
    }
    for (std::vector<uint32_t>& row : children)
      std::sort(row.begin(), row.end(), [&](uint32_t a, uint32_t b) { return is_heavier(a, b); });
    std::vector<uint32_t> kinds(nodes_.size());  // of nodes, by root
    for (const FoldedNode& node : nodes_) ++kinds[node.root];
    std::vector<uint32_t> roots;
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].parent == kNone) roots.push_back(i);
    }
    std::sort(roots.begin(), roots.end(), [&](uint32_t a, uint32_t b) { return is_heavier(a, b); });
    for (const uint32_t root : roots) {
      LeakTree tree = totals_of(root);
      tree.nodes = heaviest_nodes(root, children);
      tree.left_out = kinds[root] - tree.nodes.size();
      forest.trees.push_back(std::move(tree));
    }
    return forest;
  }

 private:
  struct HeadTotals {
    uint64_t heads = 0;
    uint64_t bytes = 0;
  };

  uint32_t root_for(ClusterId cluster) {
    const uint32_t node = find_or_add(kNone, cluster);
    nodes_[node].root = node;
    return node;
  }
  uint32_t node_below(uint32_t parent, uint32_t number) {
    const ClusterId cluster = cluster_of_[number];
    uint32_t above = parent;
    for (int level = 0; level < kSearchedUp && above != kNone; ++level) {
      if (nodes_[above].cluster == cluster) {
        nodes_[above].repeats = true;
        return above;
      }
      above = nodes_[above].parent;
    }
    const uint32_t node = find_or_add(parent, cluster);
    nodes_[node].root = nodes_[parent].root;
    return node;
  }
  uint32_t find_or_add(uint32_t parent, ClusterId cluster) {
    const uint64_t key = mix((uint64_t{parent} << 32 | cluster.value) + 1);
    if (const auto known = places_.find(key)) return *known;
    const auto added = static_cast<uint32_t>(nodes_.size());
    places_.insert(key, added);
    FoldedNode node;
    node.cluster = cluster;
    node.parent = parent;
    nodes_.push_back(node);
    return added;
  }

  void count_shape(uint32_t head, uint64_t shape) {
    const uint32_t root = node_of_[head];
    const BlockId block = reach_.lost[head].block;
    ShapeCount& count = shapes_[root][shape];
    if (count.heads++ == 0) count.first = block;
    HeadTotals& totals = heads_[root];
    ++totals.heads;
    totals.bytes += heap_.block(block).size();
  }
  void sum_subtrees() {
    for (size_t i = nodes_.size(); i-- > 0;) {
      FoldedNode& node = nodes_[i];
      node.subtree_blocks += node.blocks;
      node.subtree_bytes += node.bytes;
      if (node.parent == kNone) continue;
      nodes_[node.parent].subtree_blocks += node.subtree_blocks;
      nodes_[node.parent].subtree_bytes += node.subtree_bytes;
    }
  }
  [[nodiscard]] bool is_heavier(uint32_t a, uint32_t b) const {
    if (nodes_[a].subtree_bytes != nodes_[b].subtree_bytes)
      return nodes_[a].subtree_bytes > nodes_[b].subtree_bytes;
    return nodes_[a].cluster < nodes_[b].cluster;
  }

  [[nodiscard]] LeakTree totals_of(uint32_t root) {
    LeakTree tree;
    tree.cluster = nodes_[root].cluster;
    tree.heads = heads_[root].heads;
    tree.head_bytes = heads_[root].bytes;
    tree.below = nodes_[root].subtree_blocks - tree.heads;
    tree.below_bytes = nodes_[root].subtree_bytes - tree.head_bytes;
    for (const auto& [shape, count] : shapes_[root]) {
      if (count.heads < tree.alike || (count.heads == tree.alike && count.first > tree.example))
        continue;
      tree.alike = count.heads;
      tree.example = count.first;
    }
    return tree;
  }

  // The nodes of one tree that weigh most, never without their parents; parents before children.
  [[nodiscard]] std::vector<TreeNode> heaviest_nodes(
      uint32_t root, const std::vector<std::vector<uint32_t>>& children) const {
    const auto lighter = [&](uint32_t a, uint32_t b) { return is_heavier(b, a); };
    std::priority_queue<uint32_t, std::vector<uint32_t>, decltype(lighter)> open(lighter);
    open.push(root);
    std::vector<uint32_t> chosen;
    while (!open.empty() && chosen.size() < LeakTree::kMostNodes) {
      chosen.push_back(open.top());
      open.pop();
      for (const uint32_t child : children[chosen.back()]) open.push(child);
    }
    std::sort(chosen.begin(), chosen.end());
    std::vector<TreeNode> nodes;
    std::vector<std::pair<uint32_t, uint32_t>> path = {{root, TreeNode::kNoParent}};
    while (!path.empty()) {
      const auto [node, parent] = path.back();
      path.pop_back();
      const FoldedNode& folded = nodes_[node];
      const auto place = static_cast<uint32_t>(nodes.size());
      nodes.push_back({folded.cluster, parent, folded.offsets.commonest(), folded.blocks,
                       folded.bytes, folded.repeats});
      for (auto child = children[node].rbegin(); child != children[node].rend(); ++child) {
        if (std::binary_search(chosen.begin(), chosen.end(), *child))
          path.emplace_back(*child, place);
      }
    }
    return nodes;
  }

  const HeapModel& heap_;
  const Reachability& reach_;
  const Suppressed& suppressed_;
  std::vector<ClusterId> cluster_of_;               // by number
  std::vector<uint32_t> node_of_;                   // by number
  std::vector<FoldedNode> nodes_;                   // parents before children
  KeyIndex places_;                                 // by parent and cluster
  std::unordered_map<uint32_t, HeadTotals> heads_;  // by root
  std::unordered_map<uint32_t, std::unordered_map<uint64_t, ShapeCount>> shapes_;  // by root
};

}  // namespace

LeakForest fold_lost_trees(const MemoryImage& image, const HeapModel& heap,
                           const Reachability& reach, const Clusters& clusters,
                           const Suppressed& suppressed) {
  Folder folder(heap, reach, clusters, suppressed);
  folder.fold(link_lost_blocks(image, heap, reach));
  return folder.forest();
}

}  // namespace heapscan

// Who keeps whom alive: the reachable blocks, the pointers between them, and the words of the roots
// that lead to them.
//
// Made by build_live_graph(); costs 4 bytes per block and 4 per edge. Nodes are blocks, by BlockId,
// and behind them whatever is added by add_node(): the variables and threads that the words of
// roots belong to. Edges are start pointers and interior ones that a rule explains. A block that
// trace() found reachable in another way only (a pool, an array's live slots, a reservation) has
// every pointer into it as an edge. Words in the room of a short std::string are none. A block that
// even so has no edge is in `unexplained`.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"

namespace heapscan {

// A word of a strong root that leads to a reachable block.
struct RootPointer {
  // Index into roots.ranges, or roots.ranges.size() + index into roots.words.
  uint32_t root = 0;
  BlockId to;
  Addr at;  // where the word lies; null for a word that is not in memory
};

class LiveGraph {
 public:
  LiveGraph() = default;
  // Without nodes, and with room for so many nodes and edges.
  LiveGraph(size_t nodes, size_t edges);
  [[nodiscard]] size_t nodes() const { return first_edge_.size() - 1; }
  [[nodiscard]] size_t edges() const { return edges_.size(); }
  // Of each block ascending, each once, none to itself.
  [[nodiscard]] std::span<const uint32_t> from(uint32_t node) const {
    return edges_.rows().subspan(first_edge_[node], first_edge_[node + 1] - first_edge_[node]);
  }
  void prefetch(uint32_t node) const { __builtin_prefetch(first_edge_.data() + node); }
  [[nodiscard]] bool is_live(BlockId id) const { return live_.test(id); }
  [[nodiscard]] const BlockBitmap& live() const { return live_; }
  // Blocks with a pointer to a block that is only possibly reachable: what they keep alive may be
  // more than the edges say.
  [[nodiscard]] bool leads_to_possible(BlockId id) const { return leads_to_possible_.test(id); }
  [[nodiscard]] const BlockBitmap& leads_to_possible() const { return leads_to_possible_; }

  // Sorted by root, then place; those into one block from one word of memory once.
  [[nodiscard]] std::span<const RootPointer> root_pointers() const { return root_pointers_; }
  // Reachable, but no edge and no root pointer says how. Sorted.
  [[nodiscard]] std::span<const BlockId> unexplained() const { return unexplained_; }

  // A node with edges to `targets`, which are nodes, or will be; returns its number.
  uint32_t add_node(std::span<const uint32_t> targets);

 private:
  friend class LiveGraphBuilder;
  GrowingArray<uint32_t> first_edge_;  // node -> its first edge; one more at the end
  GrowingArray<uint32_t> edges_;
  BlockBitmap live_{0};
  BlockBitmap leads_to_possible_{0};
  std::vector<RootPointer> root_pointers_;
  std::vector<BlockId> unexplained_;
};

// Throws Error (Unsupported) for more than 2^32 edges or 2^31 nodes.
[[nodiscard]] LiveGraph build_live_graph(const MemoryImage& image, const HeapModel& heap,
                                         const Roots& roots, const Reachability& reach);

}  // namespace heapscan

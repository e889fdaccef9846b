// Lost blocks form a graph. A leaked tree is reported once, under the block nothing points at; a leaked ring has no such
// block, so its lowest address stands for it. In general: condense the graph into strongly connected components (Tarjan,
// 1972, with an explicit stack, since the depth is the target's to choose); a component without an edge from another one
// is a leak of its own and its lowest address is the head; everything else hangs below some head and is counted once, for
// the first head in address order that reaches it. Start and interior pointers weigh the same here.
#include "reach/lost_components.h"

#include <algorithm>
#include <limits>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
constexpr size_t kBlocksPerPiece = 2048;

// Lost blocks by number, and edges between them as rows of one array.
struct LostGraph {
  std::vector<BlockId> blocks;         // number -> block, ascending
  std::vector<uint64_t> first_edge;    // number -> its first edge; one more at the end
  std::vector<uint32_t> edges;

  [[nodiscard]] size_t size() const { return blocks.size(); }
};

// Block -> number among the lost, by counting bits.
class LostNumbers {
 public:
  explicit LostNumbers(const BlockBitmap& lost) : lost_(lost), before_(lost.word_count()) {
    uint32_t count = 0;
    for (size_t i = 0; i < before_.size(); ++i) {
      before_[i] = count;
      count += static_cast<uint32_t>(std::popcount(lost.word(i)));
    }
  }
  [[nodiscard]] uint32_t number(BlockId id) const {
    const uint64_t below = lost_.word(id.index() / 64) & ((uint64_t{1} << (id.index() % 64)) - 1);
    return before_[id.index() / 64] + static_cast<uint32_t>(std::popcount(below));
  }

 private:
  const BlockBitmap& lost_;
  std::vector<uint32_t> before_;
};

void add_edges(const HeapModel& heap, const BlockMemory& memory, const BlockBitmap& lost,
               const LostNumbers& numbers, BlockId from, std::vector<uint32_t>& edges) {
  const AddrRange block = heap.block(from).range();
  const size_t first = edges.size();
  memory.for_each_span(heap.index.range_at(block.begin().value), block, [&](Addr, Bytes bytes) {
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      const auto value = load<uint64_t>(bytes.data() + i);
      const uint32_t range = heap.index.range_at(value);
      if (range == BlockIndex::kNoRange) continue;
      const BlockId to = heap.index.block_before(heap.index.ranges()[range], value);
      if (!to.valid() || to == from || !lost.test(to) || !heap.block(to).range().contains(Addr(value))) continue;
      edges.push_back(numbers.number(to));
    }
  });
  const auto own = edges.begin() + static_cast<std::ptrdiff_t>(first);
  std::sort(own, edges.end());
  edges.erase(std::unique(own, edges.end()), edges.end());
}

LostGraph build_lost_graph(const HeapModel& heap, const BlockMemory& memory, const BlockBitmap& lost) {
  LostGraph graph;
  lost.for_each([&](BlockId id) { graph.blocks.push_back(id); });
  const LostNumbers numbers(lost);
  graph.first_edge.resize(graph.size() + 1);
  std::vector<std::vector<uint32_t>> pieces((graph.size() + kBlocksPerPiece - 1) / kBlocksPerPiece);
  parallel_for(pieces.size(), [&](size_t piece) {
    const size_t begin = piece * kBlocksPerPiece;
    const size_t end = std::min(begin + kBlocksPerPiece, graph.size());
    for (size_t i = begin; i < end; ++i) {
      const size_t before = pieces[piece].size();
      add_edges(heap, memory, lost, numbers, graph.blocks[i], pieces[piece]);
      graph.first_edge[i + 1] = pieces[piece].size() - before;
    }
  });
  for (size_t i = 0; i < graph.size(); ++i) graph.first_edge[i + 1] += graph.first_edge[i];
  graph.edges.reserve(graph.first_edge.back());
  for (std::vector<uint32_t>& piece : pieces) {
    graph.edges.insert(graph.edges.end(), piece.begin(), piece.end());
    std::vector<uint32_t>().swap(piece);
  }
  return graph;
}

// Tarjan's algorithm; the result numbers each node's component.
class Components {
 public:
  explicit Components(const LostGraph& graph)
      : graph_(graph), order_(graph.size(), kNone), low_(graph.size(), kNone), component_(graph.size(), kNone) {}

  std::vector<uint32_t> find() {
    for (uint32_t node = 0; node < graph_.size(); ++node) {
      if (order_[node] == kNone) search_from(node);
    }
    return std::move(component_);
  }

 private:
  struct Frame {
    uint32_t node;
    uint64_t next_edge;
  };

  void search_from(uint32_t start) {
    enter(start);
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      const uint32_t node = frame.node;
      if (frame.next_edge < graph_.first_edge[node + 1]) {
        const uint32_t to = graph_.edges[frame.next_edge++];
        if (order_[to] == kNone) {
          enter(to);
        } else if (component_[to] == kNone) {
          low_[node] = std::min(low_[node], order_[to]);
        }
        continue;
      }
      leave(node);
    }
  }

  void enter(uint32_t node) {
    order_[node] = low_[node] = next_order_++;
    open_.push_back(node);
    frames_.push_back({node, graph_.first_edge[node]});
  }

  void leave(uint32_t node) {
    frames_.pop_back();
    if (!frames_.empty()) {
      uint32_t& above = low_[frames_.back().node];
      above = std::min(above, low_[node]);
    }
    if (low_[node] != order_[node]) return;
    while (true) {
      const uint32_t member = open_.back();
      open_.pop_back();
      component_[member] = next_component_;
      if (member == node) break;
    }
    ++next_component_;
  }

  const LostGraph& graph_;
  std::vector<uint32_t> order_;
  std::vector<uint32_t> low_;
  std::vector<uint32_t> component_;
  std::vector<uint32_t> open_;
  std::vector<Frame> frames_;
  uint32_t next_order_ = 0;
  uint32_t next_component_ = 0;
};

// The lowest node of each component that no other component points into; ascending.
std::vector<uint32_t> find_heads(const LostGraph& graph, const std::vector<uint32_t>& component) {
  std::vector<bool> pointed_at(graph.size(), false);  // by component number
  for (uint32_t node = 0; node < graph.size(); ++node) {
    for (uint64_t e = graph.first_edge[node]; e < graph.first_edge[node + 1]; ++e) {
      if (component[graph.edges[e]] != component[node]) pointed_at[component[graph.edges[e]]] = true;
    }
  }
  std::vector<uint32_t> heads;
  for (uint32_t node = 0; node < graph.size(); ++node) {
    if (pointed_at[component[node]]) continue;
    pointed_at[component[node]] = true;  // its head is found
    heads.push_back(node);
  }
  return heads;
}

std::vector<uint32_t> spread_heads(const LostGraph& graph, const std::vector<uint32_t>& heads) {
  std::vector<uint32_t> head_of(graph.size(), kNone);
  for (const uint32_t head : heads) head_of[head] = head;
  std::vector<uint32_t> stack;
  for (const uint32_t head : heads) {
    stack.push_back(head);
    while (!stack.empty()) {
      const uint32_t node = stack.back();
      stack.pop_back();
      for (uint64_t e = graph.first_edge[node]; e < graph.first_edge[node + 1]; ++e) {
        const uint32_t to = graph.edges[e];
        if (head_of[to] != kNone) continue;
        head_of[to] = head;
        stack.push_back(to);
      }
    }
  }
  return head_of;
}

}  // namespace

std::vector<LostBlock> find_lost_components(const HeapModel& heap, const BlockMemory& memory,
                                            const BlockBitmap& lost) {
  const LostGraph graph = build_lost_graph(heap, memory, lost);
  const std::vector<uint32_t> component = Components(graph).find();
  const std::vector<uint32_t> head_of = spread_heads(graph, find_heads(graph, component));
  std::vector<LostBlock> result(graph.size());
  for (size_t i = 0; i < graph.size(); ++i) result[i] = {graph.blocks[i], graph.blocks[head_of[i]]};
  return result;
}

}  // namespace heapscan

// Lost blocks form a graph. A leaked tree is reported once, under the block nothing points at; a
// leaked ring has no such block, so one of its blocks stands for it. In general: of the graph's
// strongly connected components, one without an edge from another one is a leak of its own, and has
// one head; everything else hangs below some head and is counted once, for the component that
// reaches it and has the lowest address.
//
// The heads are found without working out the components. Search from every block not yet seen, in
// ascending order. Where a search starts, no earlier start leads; so if a later start leads there
// neither, nothing outside its component does. Searching again from the starts in descending order
// tells which those are, unless no search ever ran into what an earlier one had seen. And the
// component's lowest block is where the first search had to start. A better head for it is chosen
// in the end.
#include "reach/lost_components.h"

#include <algorithm>
#include <limits>

#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_numbers.h"
#include "reach/edge_finder.h"
#include "reach/lost_graph.h"
#include "reach/ring_heads.h"

namespace heapscan {

namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
constexpr size_t kBlocksPerPiece = 2048;

LostGraph build_lost_graph(const HeapModel& heap, const BlockMemory& memory,
                           const BlockBitmap& lost, const StaleStores& stale,
                           const BlockBitmap& holed) {
  LostGraph graph;
  const BlockNumbers numbers(lost);
  graph.blocks.reserve(lost.count());
  lost.for_each([&](BlockId id) { graph.blocks.push_back(id); });
  graph.first_edge.resize(graph.size() + 1);
  std::vector<std::vector<uint32_t>> pieces((graph.size() + kBlocksPerPiece - 1) / kBlocksPerPiece);
  parallel_for_pieces(graph.size(), kBlocksPerPiece, [&](size_t begin, size_t end) {
    const auto admit = [&](const EdgeSource& source, uint64_t value, BlockId to) {
      const bool is_stale = holed.test(source.block) && stale.stretch_at(source.at) != nullptr;
      const bool counts =
          !is_stale && lost.test(to) && heap.block(to).range().contains(Addr(value));
      return counts ? numbers.number_of(to) : kNone;
    };
    EdgeFinder finder(heap, memory, admit);
    for (size_t i = begin; i < end; ++i) {
      finder.announce(graph.blocks, i, end);
      finder.add_edges_of(static_cast<uint32_t>(i), graph.blocks[i]);
    }
    std::vector<uint32_t>& targets = pieces[begin / kBlocksPerPiece];
    const auto edges = finder.take();
    targets.reserve(edges.size());
    for (const auto& [from, to] : edges) {
      ++graph.first_edge[from + 1];
      targets.push_back(to);
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

// Which start of a search each node was first reached from.
class Searches {
 public:
  explicit Searches(const LostGraph& graph) : graph_(graph), start_of_(graph.size(), kNone) {}

  // False when `start` was reached before.
  bool search_from(uint32_t start) {
    if (start_of_[start] != kNone) return false;
    start_of_[start] = start;
    open_.push_back(start);
    while (!open_.empty()) {
      const uint32_t node = open_.back();
      open_.pop_back();
      for (const uint32_t to : graph_.from(node)) {
        met_another_ |= start_of_[to] != kNone && start_of_[to] != start;
        if (start_of_[to] != kNone) continue;
        start_of_[to] = start;
        open_.push_back(to);
      }
    }
    return true;
  }
  // Whether any search ran into blocks that another one had reached.
  [[nodiscard]] bool met_another() const { return met_another_; }
  [[nodiscard]] std::vector<uint32_t> take() { return std::move(start_of_); }

 private:
  const LostGraph& graph_;
  std::vector<uint32_t> start_of_;
  std::vector<uint32_t> open_;
  bool met_another_ = false;
};

// Node -> head, the lowest block of its component.
std::vector<uint32_t> find_heads(const LostGraph& graph) {
  std::vector<uint32_t> starts;
  std::vector<uint32_t> head_of;
  {
    Searches ascending(graph);
    for (uint32_t node = 0; node < graph.size(); ++node) {
      if (ascending.search_from(node)) starts.push_back(node);
    }
    head_of = ascending.take();
    if (!ascending.met_another()) return head_of;
  }
  std::vector<uint32_t> heads;
  {
    Searches descending(graph);
    for (auto start = starts.rbegin(); start != starts.rend(); ++start) {
      if (descending.search_from(*start)) heads.push_back(*start);
    }
  }
  if (heads.size() == starts.size()) return head_of;
  std::vector<uint32_t>().swap(head_of);
  Searches from_heads(graph);
  for (auto head = heads.rbegin(); head != heads.rend(); ++head) from_heads.search_from(*head);
  return from_heads.take();
}

}  // namespace

std::vector<LostBlock> find_lost_components(const HeapModel& heap, const BlockMemory& memory,
                                            const BlockBitmap& lost, const StaleStores& stale,
                                            const BlockBitmap& holed) {
  const LostGraph graph = build_lost_graph(heap, memory, lost, stale, holed);
  std::vector<uint32_t> head_of = find_heads(graph);
  choose_ring_heads(heap, memory, graph, head_of);
  std::vector<LostBlock> result(graph.size());
  for (size_t i = 0; i < graph.size(); ++i) result[i] = {graph.blocks[i], graph.blocks[head_of[i]]};
  return result;
}

}  // namespace heapscan

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
//
// A ring has no first block. But most rings are containers: one block with the list's or the tree's
// header in it, many nodes, and links both ways. A reader wants to hear of the list, not of the
// node that happens to have the lowest address. The header's block is told by what it is not: no
// other block of the ring has its size, and every block that names it is named by it (which a
// node's children, say, or an array of them, are not). Where two blocks are like that, as a header
// and its only node are, it is the one that is named by its middle alone: containers are members
// more often than nodes are. Failing that, the one block that most of the others name is what they
// belong to: a document that all its nodes refer to, a node's parent.
#include "reach/verdicts.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>

#include "heapscan/base/id.h"
#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_bitmap.h"
#include "reach/edge_finder.h"

namespace heapscan {

namespace {

// Lost blocks by number, and who names whom among them, as rows of one array. Start and interior
// pointers weigh the same; no block has an edge to itself.
struct LostGraph {
  std::vector<BlockId> blocks;       // number -> block, ascending
  std::vector<uint64_t> first_edge;  // number -> its first edge; one more at the end
  std::vector<uint32_t> edges;       // of each block ascending

  [[nodiscard]] size_t size() const { return blocks.size(); }
  [[nodiscard]] std::span<const uint32_t> from(uint32_t node) const {
    return std::span(edges).subspan(first_edge[node], first_edge[node + 1] - first_edge[node]);
  }
};

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
constexpr size_t kVerdictsPerPiece = 2048;
constexpr size_t kMostCandidates = 8;  // all that name them are looked through
constexpr size_t kFewestOwned = 3;     // blocks that name their owner

using Edge = std::pair<uint32_t, uint32_t>;

LostGraph build_lost_graph(const HeapModel& heap, const BlockMemory& memory,
                           const BlockBitmap& lost, const StaleStores& stale,
                           const BlockBitmap& holed) {
  LostGraph graph;
  const BlockNumbers numbers(lost);
  graph.blocks.reserve(lost.count());
  lost.for_each([&](BlockId id) { graph.blocks.push_back(id); });
  graph.first_edge.resize(graph.size() + 1);
  std::vector<std::vector<uint32_t>> pieces((graph.size() + kVerdictsPerPiece - 1) /
                                            kVerdictsPerPiece);
  parallel_for_pieces(graph.size(), kVerdictsPerPiece, [&](size_t begin, size_t end) {
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
    std::vector<uint32_t>& targets = pieces[begin / kVerdictsPerPiece];
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

// The blocks that lead to a head, which are its ring, out of those that hang below it.
class Ring {
 public:
  Ring(const HeapModel& heap, const BlockMemory& memory, const LostGraph& graph,
       std::span<const uint32_t> below, uint32_t head)
      : heap_(heap), memory_(memory), graph_(graph) {
    for (const uint32_t from : below) {
      for (const uint32_t to : graph.from(from)) {
        if (std::binary_search(below.begin(), below.end(), to)) named_by_.emplace_back(to, from);
      }
    }
    std::sort(named_by_.begin(), named_by_.end());
    std::vector<bool> seen(below.size(), false);
    const auto see = [&](uint32_t node) {
      const auto at = std::lower_bound(below.begin(), below.end(), node) - below.begin();
      if (seen[static_cast<size_t>(at)]) return;
      seen[static_cast<size_t>(at)] = true;
      members_.push_back(node);
    };
    see(head);
    for (size_t i = 0; i < members_.size(); ++i) for_each_naming(members_[i], see);
  }

  // The block that at least half of the others name, more than name any other.
  [[nodiscard]] std::optional<uint32_t> owner() const {
    if (members_.size() < kFewestOwned + 1) return std::nullopt;
    uint32_t most_named = 0;
    size_t most = 0;
    bool is_alone = false;
    for (size_t i = 0, end = 0; i < named_by_.size(); i = end) {
      while (end < named_by_.size() && named_by_[end].first == named_by_[i].first) ++end;
      if (end - i == most) is_alone = false;
      if (end - i <= most) continue;
      most_named = named_by_[i].first;
      most = end - i;
      is_alone = true;
    }
    const bool is_owner = is_alone && most >= kFewestOwned && 2 * most + 1 >= members_.size();
    if (!is_owner || std::find(members_.begin(), members_.end(), most_named) == members_.end())
      return std::nullopt;
    return most_named;
  }

  [[nodiscard]] std::optional<uint32_t> header() const {
    std::vector<uint32_t> candidates;
    for (const uint32_t node : alone_of_their_size()) {
      if (has_mutual_links(node)) candidates.push_back(node);
    }
    if (candidates.size() > kMostCandidates) return std::nullopt;
    if (candidates.size() > 1)
      std::erase_if(candidates, [this](uint32_t node) { return is_named_by_its_begin(node); });
    if (candidates.size() != 1) return std::nullopt;
    return candidates.front();
  }

 private:
  [[nodiscard]] uint64_t size_of(uint32_t node) const {
    return heap_.block(graph_.blocks[node]).size();
  }

  [[nodiscard]] std::vector<uint32_t> alone_of_their_size() const {
    std::vector<std::pair<uint64_t, uint32_t>> by_size;
    for (const uint32_t node : members_) by_size.emplace_back(size_of(node), node);
    std::sort(by_size.begin(), by_size.end());
    std::vector<uint32_t> alone;
    for (size_t i = 0; i < by_size.size(); ++i) {
      const bool as_before = i > 0 && by_size[i - 1].first == by_size[i].first;
      const bool as_after = i + 1 < by_size.size() && by_size[i + 1].first == by_size[i].first;
      if (!as_before && !as_after) alone.push_back(by_size[i].second);
    }
    return alone;
  }

  // f(node) for every block that names this one.
  template <typename F>
  void for_each_naming(uint32_t node, F&& f) const {
    for (auto edge = std::lower_bound(named_by_.begin(), named_by_.end(), Edge(node, 0));
         edge != named_by_.end() && edge->first == node; ++edge) {
      f(edge->second);
    }
  }

  [[nodiscard]] bool has_mutual_links(uint32_t node) const {
    const auto named = graph_.from(node);
    bool mutual = true;
    for_each_naming(node, [&](uint32_t from) {
      mutual = mutual && std::binary_search(named.begin(), named.end(), from);
    });
    return mutual;
  }

  [[nodiscard]] bool is_named_by_its_begin(uint32_t node) const {
    const uint64_t begin = heap_.block(graph_.blocks[node]).begin().value;
    bool found = false;
    for_each_naming(node, [&](uint32_t from) {
      const AddrRange block = heap_.block(graph_.blocks[from]).range();
      memory_.for_each_span(heap_.index.range_at(block.begin().value), block,
                            [&](Addr, Bytes bytes) {
                              for (size_t i = 0; i + 8 <= bytes.size(); i += 8)
                                found = found || load<uint64_t>(bytes.data() + i) == begin;
                            });
    });
    return found;
  }

  const HeapModel& heap_;
  const BlockMemory& memory_;
  const LostGraph& graph_;
  std::vector<Edge> named_by_;  // sorted: who is named, by whom
  std::vector<uint32_t> members_;
};

// `head_of` says the head of each number, of a ring any block of it; afterwards the block that
// looks like the one the others hang on, where there is one.
void choose_ring_heads(const HeapModel& heap, const BlockMemory& memory, const LostGraph& graph,
                       std::vector<uint32_t>& head_of) {
  std::vector<bool> is_ring(graph.size(), false);
  for (const uint32_t to : graph.edges) {
    if (head_of[to] == to) is_ring[to] = true;
  }
  // The blocks below each ring's head, ascending, one head's behind the other's.
  std::vector<uint32_t> end_of(graph.size(), 0);
  for (const uint32_t head : head_of) end_of[head] += is_ring[head] ? 1 : 0;
  for (uint32_t head = 1; head < graph.size(); ++head) end_of[head] += end_of[head - 1];
  std::vector<uint32_t> below(graph.size() == 0 ? 0 : end_of.back());
  for (auto node = static_cast<uint32_t>(graph.size()); node-- > 0;) {
    if (is_ring[head_of[node]]) below[--end_of[head_of[node]]] = node;
  }
  // Each end has become a begin.
  for (uint32_t head = 0; head < graph.size(); ++head) {
    if (!is_ring[head]) continue;
    const size_t end = head + 1 < graph.size() ? end_of[head + 1] : below.size();
    const auto nodes = std::span(below).subspan(end_of[head], end - end_of[head]);
    const Ring ring(heap, memory, graph, nodes, head);
    const uint32_t chosen = ring.header().value_or(ring.owner().value_or(head));
    if (chosen == head) continue;
    for (const uint32_t node : nodes) head_of[node] = chosen;
  }
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

namespace {

constexpr size_t kWordsPerPiece = 1024;  // of a bitmap: 64 blocks each

using VerdictTotals = std::array<VerdictTotal, kVerdictCount>;

struct Totals {
  VerdictTotals blocks{};
  VerdictTotals mappings{};
};

void add(VerdictTotals& sum, const VerdictTotals& part) {
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i].blocks += part[i].blocks;
    sum[i].bytes += part[i].bytes;
  }
}

}  // namespace

BlockBitmap judged_blocks(const HeapModel& heap) {
  BlockBitmap judged(heap.blocks.size());
  parallel_for_pieces(judged.word_count(), kWordsPerPiece, [&](size_t begin, size_t end) {
    for (size_t w = begin; w < end; ++w) {
      uint64_t bits = 0;
      for (size_t i = 0; i < 64 && w * 64 + i < heap.blocks.size(); ++i) {
        bits |= uint64_t{heap.blocks[w * 64 + i].is_judged()} << i;
      }
      judged.set_word(w, bits);
    }
  });
  return judged;
}

void give_verdicts(const HeapModel& heap, const BlockBitmap& judged, const BlockBitmap& unreached,
                   const BlockBitmap& unheld, Reachability& result) {
  const size_t count = heap.blocks.size();
  result.verdicts = GrowingArray<Verdict>(count);
  result.verdicts.resize(count);
  BlockBitmap heads(count);
  for (const LostBlock& lost : result.lost) {
    if (lost.head == lost.block) heads.set(lost.block);
  }
  std::vector<Totals> totals((judged.word_count() + kWordsPerPiece - 1) / kWordsPerPiece);
  parallel_for_pieces(judged.word_count(), kWordsPerPiece, [&](size_t begin, size_t end) {
    Totals& sums = totals[begin / kWordsPerPiece];
    for (size_t i = begin * 64; i < std::min(end * 64, count); ++i) {
      const BlockId id(i);
      const Verdict verdict = !judged.test(id)      ? Verdict::NotJudged
                              : !unreached.test(id) ? Verdict::Reachable
                              : !unheld.test(id)    ? Verdict::Possible
                              : heads.test(id)      ? Verdict::Definite
                                                    : Verdict::Indirect;
      result.verdicts[i] = verdict;
      const Block& block = heap.blocks[i];
      auto& rows = block.state() == BlockState::Mapping ? sums.mappings : sums.blocks;
      rows[static_cast<size_t>(verdict)].blocks += 1;
      rows[static_cast<size_t>(verdict)].bytes += block.size();
    }
  });
  for (const Totals& sums : totals) {
    add(result.totals, sums.blocks);
    add(result.mapping_totals, sums.mappings);
  }
}

}  // namespace heapscan

// A ring has no first block. But most rings are containers: one block with the list's or the tree's
// header in it, many nodes, and links both ways. A reader wants to hear of the list, not of the
// node that happens to have the lowest address. The header's block is told by what it is not: no
// other block of the ring has its size, and every block that names it is named by it (which a
// node's children, say, or an array of them, are not). Where two blocks are like that, as a header
// and its only node are, it is the one that is named by its middle alone: containers are members
// more often than nodes are. Failing that, the one block that most of the others name is what they
// belong to: a document that all its nodes refer to, a node's parent.
#include "reach/ring_heads.h"

#include <algorithm>
#include <optional>

namespace heapscan {

namespace {

constexpr size_t kMostCandidates = 8;  // all that name them are looked through
constexpr size_t kFewestOwned = 3;     // blocks that name their owner

using Edge = std::pair<uint32_t, uint32_t>;

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

}  // namespace

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

}  // namespace heapscan

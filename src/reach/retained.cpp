// The graph gets a node per group of root words, one per owner of groups, one for what no pointer
// explains, and one for the whole, from which everything is reachable. In its dominator tree rows
// come after their parents, so one pass over the leaves and one over the other rows, from the last to
// the first, add everything up. Before, one walk finds what the groups that are not passing lead to;
// passing groups get no edge to that.
#include "heapscan/reach/retained.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "heapscan/image/intervals.h"
#include "reach/dominators.h"

namespace heapscan {

namespace {

using Edge = std::pair<uint32_t, uint32_t>;  // source, target

// Adds `nodes` nodes, numbered from 0 on in the sources of `edges`; returns the first one's number.
uint32_t add_nodes(LiveGraph& graph, size_t nodes, std::vector<Edge> edges) {
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  const auto first = static_cast<uint32_t>(graph.nodes());
  std::vector<uint32_t> targets;
  auto next = edges.begin();
  for (uint32_t node = 0; node < nodes; ++node) {
    targets.clear();
    for (; next != edges.end() && next->first == node; ++next) targets.push_back(next->second);
    static_cast<void>(graph.add_node(targets));
  }
  return first;
}

// What a walk from the words of other groups, and from what no pointer explains, meets. Empty where
// there is no passing group.
BlockBitmap met_without_passing(const LiveGraph& graph, const RootGroups& groups) {
  const bool is_any_passing = std::any_of(groups.is_passing.begin(), groups.is_passing.end(),
                                          [](uint8_t passing) { return passing != 0; });
  if (!is_any_passing) return BlockBitmap(0);
  BlockBitmap met(graph.nodes());
  std::vector<uint32_t> open;
  const auto meet = [&](uint32_t node) {
    if (met.test(BlockId(node))) return;
    met.set(BlockId(node));
    graph.prefetch(node);
    open.push_back(node);
  };
  for (size_t i = 0; i < graph.root_pointers().size(); ++i) {
    if (!groups.passes(groups.group_of[i])) meet(graph.root_pointers()[i].to.value);
  }
  for (const BlockId id : graph.unexplained()) meet(id.value);
  // The order does not matter, so some are taken together, and what each leads to is fetched for all.
  constexpr size_t kTogether = 32;
  std::array<std::span<const uint32_t>, kTogether> edges;
  while (!open.empty()) {
    const size_t count = std::min(open.size(), kTogether);
    for (size_t i = 0; i < count; ++i) {
      edges[i] = graph.from(open.back());
      open.pop_back();
      __builtin_prefetch(edges[i].data());
    }
    for (size_t i = 0; i < count; ++i) {
      for (const uint32_t to : edges[i]) meet(to);
    }
  }
  return met;
}

uint32_t add_groups(LiveGraph& graph, const RootGroups& groups) {
  const BlockBitmap met = met_without_passing(graph, groups);
  std::vector<Edge> edges;
  for (size_t i = 0; i < graph.root_pointers().size(); ++i) {
    const RootGroupId group = groups.group_of[i];
    const BlockId to = graph.root_pointers()[i].to;
    if (groups.passes(group) && met.test(to)) continue;
    edges.emplace_back(group.value, to.value);
  }
  return add_nodes(graph, groups.owner_of.size(), std::move(edges));
}

uint32_t add_owners(LiveGraph& graph, const RootGroups& groups, uint32_t first_group) {
  std::vector<Edge> edges;
  for (uint32_t i = 0; i < groups.owner_of.size(); ++i)
    edges.emplace_back(groups.owner_of[RootGroupId(i)].value, first_group + i);
  return add_nodes(graph, groups.owners, std::move(edges));
}

uint32_t add_unexplained(LiveGraph& graph) {
  std::vector<uint32_t> blocks;
  for (const BlockId id : graph.unexplained()) blocks.push_back(id.value);
  return graph.add_node(blocks);
}

uint32_t add_whole(LiveGraph& graph, uint32_t first_owner, uint32_t unexplained) {
  std::vector<uint32_t> targets;
  for (uint32_t owner = first_owner; owner <= unexplained; ++owner) targets.push_back(owner);
  return graph.add_node(targets);
}

}  // namespace

std::optional<RetainedRow> Retained::row_of(BlockId block) const {
  if (block.index() < above_leaf_.size() && above_leaf_[block.index()] != 0)
    return static_cast<RetainedRow>(first_leaf() + block.index());
  const auto at = std::find(node_.begin(), node_.end(), block.value);
  if (at == node_.end()) return std::nullopt;
  return static_cast<RetainedRow>(at - node_.begin());
}

uint64_t Retained::bytes(RetainedRow row, const MemoryImage& image, const HeapModel& heap) const {
  if (!is_leaf(row)) return bytes_[row];
  return block(row).valid() ? held_bytes(image, heap.block(block(row))) : 0;
}

uint64_t held_bytes(const MemoryImage& image, const Block& block) {
  if (block.state() != BlockState::Mapping) return block.size();
  if (!image.residency()) return image.populated_bytes(block.range());
  return common_bytes(image.residency()->resident, block.range());
}

void Retained::add_up(const MemoryImage& image, const HeapModel& heap) {
  constexpr size_t kAhead = 24;  // rows, or nodes
  const auto add_own = [&](RetainedRow to, BlockId block) {
    if (!block.valid()) return;
    bytes_[to] += held_bytes(image, heap.block(block));
    ++blocks_[to];
    if (leads_to_possible_.test(block)) is_least_[to] = 1;
  };
  for (size_t i = 0; i < above_leaf_.size(); ++i) {
    if (i + kAhead < above_leaf_.size() && above_leaf_[i + kAhead] != 0) {
      const uint32_t ahead = above_leaf_[i + kAhead] - 1;
      __builtin_prefetch(bytes_.data() + ahead);
      __builtin_prefetch(blocks_.data() + ahead);
    }
    if (above_leaf_[i] != 0)
      add_own(above_leaf_[i] - 1, block(static_cast<RetainedRow>(first_leaf() + i)));
  }
  for (size_t row = first_leaf(); row-- > 0;) {
    if (row >= kAhead) {
      const BlockId ahead = block(static_cast<RetainedRow>(row - kAhead));
      if (ahead.valid()) __builtin_prefetch(&heap.block(ahead));
    }
    add_own(static_cast<RetainedRow>(row), block(static_cast<RetainedRow>(row)));
    if (row == kWhole) break;
    const uint32_t above = parent_[row];
    bytes_[above] += bytes_[row];
    blocks_[above] += blocks_[row];
    is_least_[above] |= is_least_[row];
  }
}

Retained find_retained(const MemoryImage& image, const HeapModel& heap, LiveGraph& graph,
                       const RootGroups& groups) {
  Retained result;
  result.first_group_ = add_groups(graph, groups);
  result.first_owner_ = add_owners(graph, groups, result.first_group_);
  result.unexplained_ = add_unexplained(graph);
  DominatorTree tree =
      find_dominators(graph, add_whole(graph, result.first_owner_, result.unexplained_));
  const size_t rows = tree.size();
  result.bytes_ = GrowingArray<uint64_t>(rows);
  result.bytes_.resize(rows);
  result.blocks_ = GrowingArray<uint32_t>(rows);
  result.blocks_.resize(rows);
  result.is_least_ = GrowingArray<uint8_t>(rows);
  result.is_least_.resize(rows);
  result.node_ = std::move(tree.node);
  result.parent_ = std::move(tree.parent);
  result.above_leaf_ = std::move(tree.above_leaf);
  result.leads_to_possible_ = BlockBitmap(graph.leads_to_possible());
  result.add_up(image, heap);
  return result;
}

}  // namespace heapscan

// The graph gets a node per group of root words, one per owner of groups, one for what no pointer
// explains, and one for the whole, from which everything is reachable. In its dominator tree rows
// come after their parents, so one pass from the last row to the first adds everything up. Before,
// one walk finds what the groups that are not passing lead to; passing groups get no edge to that.
#include "heapscan/reach/retained.h"

#include <algorithm>
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
    open.push_back(node);
  };
  for (size_t i = 0; i < graph.root_pointers().size(); ++i) {
    if (!groups.passes(groups.group_of[i])) meet(graph.root_pointers()[i].to.value);
  }
  for (const BlockId id : graph.unexplained()) meet(id.value);
  while (!open.empty()) {
    const uint32_t node = open.back();
    open.pop_back();
    for (const uint32_t to : graph.from(node)) meet(to);
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
  const auto at = std::find(node_.begin(), node_.end(), block.value);
  if (at == node_.end()) return std::nullopt;
  return static_cast<RetainedRow>(at - node_.begin());
}

uint64_t held_bytes(const MemoryImage& image, const Block& block) {
  if (block.state() != BlockState::Mapping) return block.size();
  if (!image.residency()) return image.populated_bytes(block.range());
  return common_bytes(image.residency()->resident, block.range());
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
  constexpr size_t kAhead = 24;  // rows
  for (size_t row = rows; row-- > 0;) {
    if (row >= kAhead) {
      const BlockId ahead = result.block(static_cast<RetainedRow>(row - kAhead));
      if (ahead.valid()) __builtin_prefetch(&heap.block(ahead));
    }
    const BlockId id = result.block(static_cast<RetainedRow>(row));
    if (id.valid()) {
      result.bytes_[row] += held_bytes(image, heap.block(id));
      ++result.blocks_[row];
      if (graph.leads_to_possible(id)) result.is_least_[row] = 1;
    }
    if (row == Retained::kWhole) break;
    const uint32_t parent = result.parent_[row];
    result.bytes_[parent] += result.bytes_[row];
    result.blocks_[parent] += result.blocks_[row];
    result.is_least_[parent] |= result.is_least_[row];
  }
  return result;
}

}  // namespace heapscan

#include "reach/dominators.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace heapscan {
namespace {

using Successors = std::vector<std::vector<uint32_t>>;

uint32_t below(std::mt19937& random, uint32_t limit) {
  return static_cast<uint32_t>(random() % limit);
}

LiveGraph flow_graph_of(const Successors& edges) {
  size_t count = 0;
  for (const auto& targets : edges) count += targets.size();
  LiveGraph graph(edges.size(), count);
  for (const auto& targets : edges) graph.add_node(targets);
  return graph;
}

std::vector<bool> reached_without(const Successors& edges, uint32_t left_out) {
  std::vector<bool> reached(edges.size());
  std::vector<uint32_t> open;
  const auto meet = [&](uint32_t node) {
    if (node == left_out || reached[node]) return;
    reached[node] = true;
    open.push_back(node);
  };
  meet(0);
  while (!open.empty()) {
    const uint32_t node = open.back();
    open.pop_back();
    for (const uint32_t to : edges[node]) meet(to);
  }
  return reached;
}

// By definition: a dominates b when b cannot be reached without a.
std::vector<std::vector<bool>> dominated_by_definition(const Successors& edges) {
  const std::vector<bool> all = reached_without(edges, ~uint32_t{0});
  std::vector<std::vector<bool>> dominated(edges.size(), std::vector<bool>(edges.size()));
  for (uint32_t a = 0; a < edges.size(); ++a) {
    const std::vector<bool> rest = reached_without(edges, a);
    for (uint32_t b = 0; b < edges.size(); ++b) dominated[a][b] = all[b] && !rest[b];
  }
  return dominated;
}

std::vector<std::vector<bool>> dominated_in(const DominatorTree& tree, size_t nodes) {
  std::vector<std::vector<bool>> dominated(nodes, std::vector<bool>(nodes));
  const auto mark = [&](uint32_t node, uint32_t row) {
    dominated[node][node] = true;
    for (uint32_t above = row;; above = tree.parent[above]) {
      dominated[tree.node[above]][node] = true;
      if (above == 0) break;
    }
  };
  for (uint32_t row = 0; row < tree.size(); ++row) mark(tree.node[row], row);
  for (uint32_t node = 0; node < nodes; ++node) {
    if (tree.above_leaf[node] != 0) mark(node, tree.above_leaf[node] - 1);
  }
  return dominated;
}

TEST(Dominators, OfRandomGraphsAreThoseOfTheDefinition) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    const uint32_t nodes = 1 + below(random, 14);
    Successors edges(nodes);
    for (uint32_t i = below(random, 3 * nodes); i > 0; --i)
      edges[below(random, nodes)].push_back(below(random, nodes));
    const DominatorTree tree = find_dominators(flow_graph_of(edges), 0);
    ASSERT_EQ(dominated_in(tree, nodes), dominated_by_definition(edges)) << "round " << round;
  }
}

// Parts in which everything leads everywhere, joined by few edges: most nodes of a part have one
// semidominator, and paths are as long as the part.
TEST(Dominators, OfDenseGraphsAreThoseOfTheDefinition) {
  std::mt19937 random(23);
  for (int round = 0; round < 300; ++round) {
    const uint32_t parts = 1 + below(random, 4);
    const uint32_t part = 4 + below(random, 24);
    const uint32_t nodes = parts * part;
    Successors edges(nodes);
    for (uint32_t node = 0; node < nodes; ++node) {
      for (uint32_t i = below(random, 7); i > 0; --i)
        edges[node].push_back(node / part * part + below(random, part));
    }
    for (uint32_t i = 2 * parts; i > 0; --i)
      edges[below(random, nodes)].push_back(below(random, nodes));
    const DominatorTree tree = find_dominators(flow_graph_of(edges), 0);
    ASSERT_EQ(dominated_in(tree, nodes), dominated_by_definition(edges)) << "round " << round;
  }
}

TEST(Dominators, ParentsComeBeforeTheirRows) {
  std::mt19937 random(11);
  Successors edges(500);
  for (int i = 0; i < 1500; ++i) edges[below(random, 500)].push_back(below(random, 500));
  const DominatorTree tree = find_dominators(flow_graph_of(edges), 0);
  ASSERT_GT(tree.size(), 400U);
  for (uint32_t row = 1; row < tree.size(); ++row) EXPECT_LT(tree.parent[row], row);
}

// Nodes: the whole, the list, its elements, a table of them, and what all elements lead to, if
// anything. Steps from each element to the list's head would be 10^11.
constexpr uint32_t kListLength = 500'000;

DominatorTree dominators_of_list_and_table(bool leads_on) {
  constexpr uint32_t kTable = 1 + 2 * kListLength;
  Successors edges(kTable + 2);
  edges[0] = {1, kTable};
  for (uint32_t i = 0; i < kListLength; ++i) {
    const uint32_t element = 1 + kListLength + i;
    if (i + 1 < kListLength) edges[1 + i].push_back(2 + i);
    edges[1 + i].push_back(element);
    edges[kTable].push_back(element);
    if (leads_on) edges[element].push_back(kTable + 1);
  }
  return find_dominators(flow_graph_of(edges), 0);
}

TEST(Dominators, OfAListWhoseElementsAreAlsoInATableTakeNoSquareOfItsLength) {
  const DominatorTree tree = dominators_of_list_and_table(true);
  ASSERT_EQ(tree.size(), 2 * kListLength + 2);
  uint32_t below_whole = 0;
  for (uint32_t row = 1; row < tree.size(); ++row) below_whole += tree.parent[row] == 0 ? 1 : 0;
  EXPECT_EQ(below_whole, kListLength + 2);  // the elements, the list, the table
  EXPECT_EQ(std::ranges::count(tree.above_leaf, 1U), 1);
}

TEST(Dominators, OfLeavesThatManyLeadToTakeNoSquareEither) {
  const DominatorTree tree = dominators_of_list_and_table(false);
  ASSERT_EQ(tree.size(), kListLength + 2);
  EXPECT_EQ(std::ranges::count(tree.above_leaf, 1U), kListLength);
  EXPECT_EQ(std::ranges::count(tree.above_leaf, 0U), kListLength + 3);  // but the elements
}

TEST(Dominators, LeaveOutWhatIsNotReached) {
  const DominatorTree tree = find_dominators(flow_graph_of({{1}, {}, {1}}), 0);
  EXPECT_EQ(tree.size(), 1U);
  EXPECT_EQ(std::vector(tree.above_leaf.begin(), tree.above_leaf.end()),
            (std::vector<uint32_t>{0, 1, 0}));
}

}  // namespace
}  // namespace heapscan

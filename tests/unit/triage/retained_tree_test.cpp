#include "heapscan/triage/retained_tree.h"

#include <gtest/gtest.h>

#include "support/fake_program.h"

namespace heapscan {
namespace {

// A fake program; every strong root is a group, all of one owner. Blocks are of the clusters that
// the test says.
class RetainedTree : public testing::Test {
 protected:
  Addr block(uint64_t size, size_t cluster) {
    const Addr at = program_.block(size);
    clusters_of_.emplace_back(at, cluster);
    return at;
  }
  void find() {
    world_ = program_.build();
    const Reachability reach = world_.trace();
    LiveGraph graph = build_live_graph(world_.image, world_.heap, world_.roots, reach);
    RootGroups groups;
    groups.owners = 1;
    for (size_t i = 0; i < graph.root_pointers().size(); ++i) {
      groups.group_of.emplace_back(i);
      groups.owner_of.push_back(RootOwnerId(0));
    }
    retained_ = find_retained(world_.image, world_.heap, graph, groups);
    std::vector<BlockId> members;
    std::vector<ClusterId> clusters;
    for (const auto& [at, cluster] : clusters_of_) {
      while (clusters_.rows.size() <= cluster) clusters_.rows.push_back({});
      members.push_back(world_.heap.block_at(at));
      clusters.emplace_back(cluster);
    }
    clusters_.members = BlockColumn<ClusterId>(members, std::move(clusters));
  }
  [[nodiscard]] std::vector<RetainedNode> fold(const FoldOptions& options = {}) const {
    return fold_retained(world_.image, world_.heap, clusters_, retained_, options);
  }
  static FoldOptions shown(int depth, size_t most_children) {
    FoldOptions options;
    options.depth = depth;
    options.most_children = most_children;
    return options;
  }
  // The node of that cluster.
  static const RetainedNode& node_of(const std::vector<RetainedNode>& nodes, size_t cluster) {
    for (const RetainedNode& node : nodes) {
      if (node.kind == RetainedNode::Kind::Blocks && node.cluster == ClusterId(cluster))
        return node;
    }
    ADD_FAILURE() << "no node of cluster " << cluster;
    return nodes.front();
  }

  FakeProgram program_;
  FakeProgram::World world_;
  Retained retained_;
  Clusters clusters_;
  std::vector<std::pair<Addr, size_t>> clusters_of_;
};

using Kind = RetainedNode::Kind;

TEST_F(RetainedTree, AListIsOneNode) {
  const Addr head = block(104, 0);
  program_.strong_root(head);
  Addr at = head;
  for (int i = 0; i < 100; ++i) {
    const Addr node = block(24, 1);
    program_.poke(at, node);
    program_.poke(node + 8, block(40, 2));
    at = node;
  }
  find();
  const auto nodes = fold(shown(9, 99));
  const RetainedNode& list = node_of(nodes, 1);
  EXPECT_EQ(list.blocks, 100U);
  EXPECT_EQ(list.bytes, 2400U);
  EXPECT_TRUE(list.repeats);
  EXPECT_EQ(list.retained_bytes, 6400U);
  const RetainedNode& elements = node_of(nodes, 2);
  EXPECT_EQ(elements.blocks, 100U);
  EXPECT_FALSE(elements.repeats);
  EXPECT_EQ(elements.retained_bytes, 4000U);
  EXPECT_EQ(nodes[elements.parent].cluster, ClusterId(1));
  EXPECT_EQ(nodes.front().kind, Kind::Whole);
  EXPECT_EQ(nodes.front().retained_bytes, 6504U);
}

TEST_F(RetainedTree, TheExampleIsTheLowestOfThoseThatRetainMost) {
  const Addr table = block(104, 0);
  const Addr low = block(24, 1);
  const Addr high = block(24, 1);
  const Addr shared = block(40, 2);
  program_.strong_root(table);
  program_.strong_root(shared);
  program_.poke(table, high);
  program_.poke(table + 8, low);
  program_.poke(high, shared);
  find();
  const auto nodes = fold(shown(9, 99));
  const RetainedNode& node = node_of(nodes, 1);
  EXPECT_EQ(node.retained_bytes, 48U);
  EXPECT_EQ(world_.heap.block(node.example).begin(), low);
}

TEST_F(RetainedTree, WhatRootsShareIsANodeOfItsOwn) {
  const Addr shared = block(200, 0);
  program_.strong_root(shared);
  program_.strong_root(shared);
  find();
  const auto nodes = fold();
  const RetainedNode& node = node_of(nodes, 0);
  EXPECT_EQ(nodes[node.parent].kind, Kind::Shared);
  EXPECT_EQ(nodes[node.parent].retained_bytes, 200U);
  EXPECT_EQ(nodes[nodes[node.parent].parent].kind, Kind::Owner);
}

TEST_F(RetainedTree, WhatIsLeftOutIsOneNode) {
  for (size_t i = 0; i < 6; ++i) program_.strong_root(block(24 + 16 * i, i));
  find();
  const auto nodes = fold(shown(9, 2));
  const RetainedNode& rest = nodes.back();
  EXPECT_EQ(rest.kind, Kind::Rest);
  EXPECT_EQ(rest.retained_bytes, 24U + 40 + 56 + 72);
  EXPECT_EQ(nodes.front().retained_bytes, 24U + 40 + 56 + 72 + 88 + 104);
}

TEST_F(RetainedTree, OfOneClusterCountsOnlyWhatItsBlocksHold) {
  const Addr first = block(24, 0);
  const Addr below = block(40, 1);
  const Addr inner = block(24, 0);  // of the same cluster, further below
  program_.strong_root(first);
  program_.strong_root(block(24, 0));
  program_.strong_root(block(1000, 2));
  program_.poke(first, below);
  program_.poke(below, inner);
  find();
  FoldOptions options;
  options.by.cluster = ClusterId(0);
  const auto nodes = fold(options);
  EXPECT_EQ(nodes.front().retained_bytes, 24U + 40 + 24 + 24);
  EXPECT_EQ(nodes.front().blocks, 2U);
  EXPECT_EQ(node_of(nodes, 1).retained_bytes, 64U);
}

// An object with two containers: {node, node with a value}, {node}.
TEST_F(RetainedTree, BlocksOfAContainerAreBelowIt) {
  const Addr object = block(104, 0);
  program_.strong_root(object);
  const Addr first = block(40, 1);
  const Addr second = block(40, 1);
  const Addr other = block(40, 1);
  const Addr value = block(200, 2);
  for (const auto& [offset, to] : {std::pair(0, first), std::pair(8, second), std::pair(16, other)})
    program_.poke(object + offset, to);
  program_.poke(second + 8, value);
  find();
  HeldContainers containers;
  containers.places.resize(2);
  containers.places[0].container.member = "sessions";
  containers.places[1].container.member = "log";
  containers.instances = {{0, 2}, {1, std::nullopt}};
  containers.of_row.resize(retained_.size());
  const auto give = [&](Addr at, uint32_t instance) {
    containers.of_row[*retained_.row_of(world_.heap.block_at(at))] = instance + 1;
  };
  give(first, 0);
  give(second, 0);
  give(other, 1);
  const auto nodes =
      fold_retained(world_.image, world_.heap, clusters_, retained_, shown(9, 99), containers);
  std::vector<RetainedNode> found;
  for (const RetainedNode& node : nodes) {
    if (node.kind == Kind::Container) found.push_back(node);
  }
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].place, 0U);
  EXPECT_EQ(nodes[found[0].parent].cluster, ClusterId(0));
  EXPECT_EQ(found[0].containers, 1U);
  EXPECT_EQ(found[0].entries, 2U);
  EXPECT_TRUE(found[0].knows_entries);
  EXPECT_EQ(found[0].blocks, 2U);
  EXPECT_EQ(found[0].retained_bytes, 280U);
  EXPECT_FALSE(found[1].knows_entries);
  EXPECT_EQ(found[1].retained_bytes, 40U);
  const RetainedNode& held = node_of(nodes, 2);
  EXPECT_EQ(nodes[held.parent].cluster, ClusterId(1));
  EXPECT_EQ(nodes[nodes[held.parent].parent].place, 0U);
}

TEST_F(RetainedTree, AContainerThatIsItsBlocksHasWhatTheyHoldBelow) {
  const Addr table = block(104, 0);
  program_.strong_root(table);
  const Addr array = block(200, 1);
  const Addr value = block(40, 2);
  program_.poke(table, array);
  program_.poke(array, value);
  find();
  HeldContainers containers;
  containers.places.resize(1);
  containers.places[0].kind = "GHashTable";
  containers.instances = {{0, 7}};
  containers.of_row.resize(retained_.size());
  for (const Addr at : {table, array})
    containers.of_row[*retained_.row_of(world_.heap.block_at(at))] = 1;
  const auto nodes =
      fold_retained(world_.image, world_.heap, clusters_, retained_, shown(9, 99), containers);
  const RetainedNode& held = node_of(nodes, 2);
  const RetainedNode& container = nodes[held.parent];
  EXPECT_EQ(container.kind, Kind::Container);
  EXPECT_EQ(nodes[container.parent].kind, Kind::Group);
  EXPECT_EQ(container.blocks, 2U);
  EXPECT_EQ(container.entries, 7U);
  EXPECT_EQ(container.retained_bytes, 344U);
}

// A list whose elements hold a map each, and something beside it.
TEST_F(RetainedTree, WhatAContainersEntriesHoldCountsForIt) {
  const Addr first = block(40, 0);
  const Addr second = block(40, 0);
  const Addr inner = block(104, 1);
  program_.strong_root(first);
  program_.poke(first, second);
  program_.poke(second + 8, inner);
  program_.poke(inner, block(200, 2));
  program_.strong_root(block(300, 3));
  find();
  HeldContainers containers;
  containers.places.resize(2);
  containers.instances = {{0, 2}, {1, 5}};
  containers.of_row.resize(retained_.size());
  const auto row_of = [&](Addr at) { return *retained_.row_of(world_.heap.block_at(at)); };
  containers.of_row[row_of(first)] = containers.of_row[row_of(second)] = 1;
  containers.of_row[row_of(inner)] = 2;
  const std::vector<LargeHolder> holders =
      largest_holders(world_.image, world_.heap, clusters_, retained_, 2);
  size_t seen = 0;
  const auto shares =
      container_shares(world_.image, world_.heap, retained_, containers,
                       std::vector<RetainedRow>{holders[0].row, holders[1].row},
                       [&](BlockId, size_t holder, uint32_t place) {
                         ++seen;
                         EXPECT_EQ(place, holder == 0 ? 0U : RetainedNode::kNoPlace);
                       });
  EXPECT_EQ(seen, 5U);
  ASSERT_EQ(shares.size(), 2U);
  ASSERT_EQ(shares[0].size(), 1U);
  EXPECT_EQ(shares[0][0].place, 0U);
  EXPECT_EQ(shares[0][0].bytes, holders[0].bytes);
  EXPECT_EQ(std::pair(shares[0][0].containers, shares[0][0].entries),
            std::pair(uint64_t{1}, std::optional<uint64_t>(2)));
  EXPECT_TRUE(shares[1].empty());
}

TEST_F(RetainedTree, EntriesOfContainersAreKnownWhereThoseOfEachAre) {
  const Addr first = block(40, 0);
  const Addr second = block(56, 0);
  const Addr owner = block(104, 1);
  program_.strong_root(owner);
  program_.poke(owner, first);
  program_.poke(owner + 8, second);
  find();
  HeldContainers containers;
  containers.places.resize(1);
  containers.instances = {{0, 2}, {0, std::nullopt}};
  containers.of_row.resize(retained_.size());
  const auto row_of = [&](Addr at) { return *retained_.row_of(world_.heap.block_at(at)); };
  containers.of_row[row_of(first)] = 1;
  containers.of_row[row_of(second)] = 2;
  const auto shares = container_shares(world_.image, world_.heap, retained_, containers,
                                       std::vector<RetainedRow>{row_of(owner)});
  ASSERT_EQ(shares[0].size(), 1U);
  EXPECT_EQ(shares[0][0].containers, 2U);
  EXPECT_EQ(shares[0][0].bytes, 96U);
  EXPECT_EQ(shares[0][0].entries, std::nullopt);
}

TEST_F(RetainedTree, TheLargestHoldersAreRootsAndWhatTheyShare) {
  program_.strong_root(block(40, 0));
  const Addr shared = block(200, 1);
  program_.strong_root(shared);
  program_.strong_root(shared);
  const Addr owner = block(24, 2);
  program_.strong_root(owner);
  program_.poke(owner, block(1000, 3));
  find();
  const std::vector<LargeHolder> holders =
      largest_holders(world_.image, world_.heap, clusters_, retained_, 2);
  ASSERT_EQ(holders.size(), 2U);
  EXPECT_TRUE(retained_.group(holders[0].row).valid());
  EXPECT_EQ(holders[0].bytes, 1024U);
  EXPECT_EQ(retained_.block(holders[1].row), world_.heap.block_at(shared));
}

TEST_F(RetainedTree, SharedBlocksOfOneKindHoldTogether) {
  Addr largest;
  for (const uint64_t below : {40U, 400U, 56U}) {
    const Addr page = block(104, 1);
    program_.poke(page, block(below, 2));
    program_.strong_root(page);
    program_.strong_root(page);
    if (below == 400) largest = page;
  }
  program_.strong_root(block(600, 3));
  find();
  const std::vector<LargeHolder> holders =
      largest_holders(world_.image, world_.heap, clusters_, retained_, 2);
  ASSERT_EQ(holders.size(), 2U);
  EXPECT_EQ(holders[0].alike, 3U);
  EXPECT_EQ(holders[0].blocks, 6U);
  EXPECT_EQ(holders[0].bytes, 3U * 104 + 40 + 408 + 56);
  EXPECT_EQ(retained_.block(holders[0].row), world_.heap.block_at(largest));
  EXPECT_EQ(holders[1].alike, 1U);
  EXPECT_EQ(holders[1].bytes, 600U);
}

// As on the first screen of a report, where only what is lost was clustered.
TEST_F(RetainedTree, SharedBlocksWithoutAClusterHoldTogetherBySize) {
  for (const uint64_t size : {104U, 104U, 104U, 200U}) {
    const Addr page = program_.block(size);
    program_.strong_root(page);
    program_.strong_root(page);
  }
  find();
  const std::vector<LargeHolder> holders =
      largest_holders(world_.image, world_.heap, clusters_, retained_, 2);
  ASSERT_EQ(holders.size(), 2U);
  EXPECT_EQ(holders[0].alike, 3U);
  EXPECT_EQ(holders[0].bytes, 3U * 104);
  EXPECT_EQ(holders[1].alike, 1U);
  EXPECT_EQ(holders[1].bytes, 200U);
}

}  // namespace
}  // namespace heapscan

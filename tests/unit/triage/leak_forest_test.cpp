#include "heapscan/triage/leak_forest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "heapscan/base/parallel.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

// Clusters are given by the test: one per size of block.
class LeakForestTest : public testing::Test {
 protected:
  Addr block(uint64_t size) { return program_.block(size); }
  void point(Addr from, uint64_t offset, Addr to) { program_.poke(from + offset, to); }

  void run() {
    world_ = program_.build();
    reach_ = world_.trace();
    std::vector<uint64_t> sizes;
    for (const LostBlock& lost : reach_.lost) sizes.push_back(world_.heap.block(lost.block).size());
    sizes_ = sizes;
    std::sort(sizes_.begin(), sizes_.end());
    sizes_.erase(std::unique(sizes_.begin(), sizes_.end()), sizes_.end());
    clusters_.rows = Column<ClusterId, Cluster>(sizes_.size());
    std::vector<BlockId> members;
    std::vector<ClusterId> clusters;
    for (const LostBlock& lost : reach_.lost) {
      if (world_.heap.block(lost.block).state() == BlockState::Mapping) continue;
      members.push_back(lost.block);
      clusters.push_back(of_size(world_.heap.block(lost.block).size()));
    }
    clusters_.members = BlockColumn<ClusterId>(members, std::move(clusters));
    forest_ = fold_lost_trees(world_.image, world_.heap, reach_, clusters_, suppressed_);
  }
  [[nodiscard]] ClusterId of_size(uint64_t size) const {
    return ClusterId(
        static_cast<size_t>(std::lower_bound(sizes_.begin(), sizes_.end(), size) - sizes_.begin()));
  }
  // "24 (40 (56)*)": sizes of the clusters; a star where nodes lead back to themselves.
  [[nodiscard]] std::string shape(const LeakTree& tree, uint32_t node = 0) const {
    std::string text = std::to_string(sizes_[tree.nodes[node].cluster.index()]);
    if (tree.nodes[node].repeats) text += "*";
    for (uint32_t i = 0; i < tree.nodes.size(); ++i) {
      if (tree.nodes[i].parent == node) text += " (" + shape(tree, i) + ")";
    }
    return text;
  }

  FakeProgram program_;
  FakeProgram::World world_;
  Reachability reach_;
  std::vector<uint64_t> sizes_;
  Clusters clusters_;
  Suppressed suppressed_;
  LeakForest forest_;
};

TEST_F(LeakForestTest, AlikeTreesAreOne) {
  Addr first;
  for (int i = 0; i < 10; ++i) {
    const Addr parser = block(40);
    const Addr tokens = block(88);
    if (i == 0) first = parser;
    point(parser, 16, tokens);
    for (uint64_t t = 0; t < 3; ++t) {
      const Addr token = block(56);
      point(tokens, 8 * t, token);
    }
  }
  run();
  ASSERT_EQ(forest_.trees.size(), 1U);
  const LeakTree& tree = forest_.trees[0];
  EXPECT_EQ(shape(tree), "40 (88 (56))");
  EXPECT_EQ(tree.heads, 10U);
  EXPECT_EQ(tree.head_bytes, 400U);
  EXPECT_EQ(tree.below, 40U);
  EXPECT_EQ(tree.below_bytes, 10U * (88 + 3 * 56));
  EXPECT_EQ(tree.alike, 10U);
  EXPECT_EQ(tree.example, world_.heap.block_at(first));
  EXPECT_EQ(tree.nodes[1].offset, 16U);
  EXPECT_EQ(tree.nodes[2].blocks, 30U);
  EXPECT_EQ(tree.left_out, 0U);
}

TEST_F(LeakForestTest, TheCommonestShapeIsTheExample) {
  block(40);  // without a child
  Addr example;
  for (int i = 0; i < 3; ++i) {
    const Addr head = block(40);
    if (i == 0) example = head;
    const Addr child = block(56);
    point(head, 0, child);
  }
  run();
  ASSERT_EQ(forest_.trees.size(), 1U);
  EXPECT_EQ(forest_.trees[0].heads, 4U);
  EXPECT_EQ(forest_.trees[0].alike, 3U);
  EXPECT_EQ(forest_.trees[0].example, world_.heap.block_at(example));
}

TEST_F(LeakForestTest, ListsAndRingsOfAnyLengthAreNodesThatRepeat) {
  for (const int length : {3, 200}) {
    Addr previous = block(40);
    for (int i = 1; i < length; ++i) {
      const Addr next = block(40);
      point(previous, 8, next);
      previous = next;
    }
  }
  const Addr ring = block(72);
  Addr last = ring;
  for (int i = 0; i < 20; ++i) {
    const Addr next = block(72);
    point(last, 0, next);
    last = next;
  }
  point(last, 0, ring);
  run();
  ASSERT_EQ(forest_.trees.size(), 2U);
  EXPECT_EQ(shape(forest_.trees[0]), "40*");
  EXPECT_EQ(forest_.trees[0].heads, 2U);
  EXPECT_EQ(forest_.trees[0].alike, 2U);
  EXPECT_EQ(forest_.trees[0].nodes[0].blocks, 203U);
  EXPECT_EQ(forest_.trees[0].below, 201U);
  EXPECT_EQ(shape(forest_.trees[1]), "72*");
  EXPECT_EQ(forest_.trees[1].heads, 1U);
  EXPECT_EQ(forest_.trees[1].below, 20U);
}

TEST_F(LeakForestTest, NodesThatAlternateAreFoldedToo) {
  Addr previous;
  for (int i = 0; i < 100; ++i) {
    const Addr node = block(40);
    const Addr children = block(88);
    point(node, 0, children);
    if (i != 0) point(previous, 0, node);
    previous = children;
  }
  run();
  ASSERT_EQ(forest_.trees.size(), 1U);
  EXPECT_EQ(shape(forest_.trees[0]), "40* (88)");
  EXPECT_EQ(forest_.trees[0].below, 199U);
}

TEST_F(LeakForestTest, ASharedChildCountsOnce) {
  const Addr one = block(40);
  const Addr other = block(56);
  const Addr child = block(104);
  point(one, 0, child);
  point(other, 8, child);
  run();
  ASSERT_EQ(forest_.trees.size(), 2U);
  EXPECT_EQ(shape(forest_.trees[0]), "40 (104)");
  EXPECT_EQ(shape(forest_.trees[1]), "56");
}

TEST_F(LeakForestTest, KindsBeyondTheLimitAreLeftOutButCounted) {
  const Addr head = block(4000);
  for (uint64_t i = 0; i < 100; ++i) {
    const Addr child = block(24 + 16 * i);
    point(head, 8 * i, child);
  }
  run();
  const LeakTree& tree = forest_.trees[0];
  EXPECT_EQ(tree.nodes.size(), LeakTree::kMostNodes);
  EXPECT_EQ(tree.left_out, 101 - LeakTree::kMostNodes);
  EXPECT_EQ(tree.below, 100U);
  for (size_t i = 1; i < tree.nodes.size(); ++i) EXPECT_LT(tree.nodes[i].parent, i);
  EXPECT_GT(tree.nodes[1].bytes, tree.nodes[2].bytes);
}

TEST_F(LeakForestTest, WithoutLostBlocksThereIsNoTree) {
  program_.strong_root(block(40));
  run();
  EXPECT_TRUE(forest_.trees.empty());
}

class RandomForest : public LeakForestTest, public testing::WithParamInterface<unsigned> {};

TEST_P(RandomForest, DirectAndIndirectBytesAddUpOnAnyNumberOfThreads) {
  std::mt19937 random(GetParam());
  const auto below = [&](size_t limit) { return random() % limit; };
  std::vector<Addr> blocks;
  for (size_t i = 0; i < 200; ++i) blocks.push_back(block(24 + 16 * below(1 + GetParam() % 7)));
  for (size_t i = 0; i < 50 * (GetParam() % 8); ++i)
    point(blocks[below(blocks.size())], 8 * below(3), blocks[below(blocks.size())] + 8 * below(2));
  if (GetParam() % 3 == 0) program_.strong_root(blocks[below(blocks.size())]);
  run();
  VerdictTotal heads;
  VerdictTotal rest;
  for (const LeakTree& tree : forest_.trees) {
    heads.blocks += tree.heads;
    heads.bytes += tree.head_bytes;
    rest.blocks += tree.below;
    rest.bytes += tree.below_bytes;
    uint64_t of_nodes = 0;
    for (const TreeNode& node : tree.nodes) of_nodes += node.bytes;
    EXPECT_EQ(of_nodes, tree.head_bytes + tree.below_bytes);
  }
  const auto total = [&](Verdict v) { return reach_.totals[static_cast<size_t>(v)]; };
  EXPECT_EQ(heads.blocks, total(Verdict::Definite).blocks);
  EXPECT_EQ(heads.bytes, total(Verdict::Definite).bytes);
  EXPECT_EQ(rest.blocks, total(Verdict::Indirect).blocks);
  EXPECT_EQ(rest.bytes, total(Verdict::Indirect).bytes);

  const ThreadLimit one(1);
  const LeakForest again =
      fold_lost_trees(world_.image, world_.heap, reach_, clusters_, suppressed_);
  ASSERT_EQ(again.trees.size(), forest_.trees.size());
  for (size_t i = 0; i < again.trees.size(); ++i) {
    EXPECT_EQ(again.trees[i].example, forest_.trees[i].example);
    EXPECT_EQ(shape(again.trees[i]), shape(forest_.trees[i]));
  }
}

// Mappings are in no cluster.
TEST_F(LeakForestTest, MappingsAreNoNodes) {
  const Addr holder = block(40);
  const Addr mapping = program_.mapping(0x2000);
  const Addr child = block(56);
  point(holder, 24, mapping);
  point(holder, 32, child);
  run();
  ASSERT_EQ(reach_.lost.size(), 3U);
  ASSERT_EQ(forest_.trees.size(), 1U);
  EXPECT_EQ(shape(forest_.trees[0]), "40 (56)");
  EXPECT_EQ(forest_.trees[0].below, 1U);
  EXPECT_EQ(forest_.trees[0].nodes[1].offset, 32U);
}

TEST_F(LeakForestTest, SuppressedTreesAreLeftOut) {
  const Addr kept = block(40);
  const Addr kept_child = block(56);
  const Addr known = block(40);
  const Addr known_child = block(72);
  point(kept, 0, kept_child);
  point(known, 0, known_child);
  run();
  ASSERT_EQ(forest_.trees.size(), 1U);
  EXPECT_EQ(forest_.trees[0].heads, 2U);
  suppressed_.blocks = {world_.heap.block_at(known), world_.heap.block_at(known_child)};
  forest_ = fold_lost_trees(world_.image, world_.heap, reach_, clusters_, suppressed_);
  ASSERT_EQ(forest_.trees.size(), 1U);
  EXPECT_EQ(forest_.trees[0].heads, 1U);
  EXPECT_EQ(forest_.trees[0].below, 1U);
  EXPECT_EQ(forest_.trees[0].example, world_.heap.block_at(kept));
  ASSERT_EQ(forest_.trees[0].nodes.size(), 2U);
  EXPECT_EQ(forest_.trees[0].nodes[1].bytes, 56U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomForest, testing::Range(0U, 60U));

}  // namespace
}  // namespace heapscan

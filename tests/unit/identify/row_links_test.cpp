// What makes blocks of one kind a list or a tree.
#include "heapscan/identify/row_links.h"

#include <gtest/gtest.h>

#include "support/fake_program.h"

namespace heapscan {
namespace {

class RowLinksTest : public testing::Test {
 protected:
  std::vector<Addr> blocks(size_t count, uint64_t size = 40) {
    for (size_t i = 0; i < count; ++i) {
      blocks_.push_back(program_.block(size));
      program_.strong_root(blocks_.back());
    }
    return blocks_;
  }
  // Of all blocks made by blocks().
  RowLinks find() {
    const FakeProgram::World world = program_.build();
    Cluster cluster;
    Clusters clusters;
    for (const Addr at : blocks_) cluster.samples.push_back(world.heap.block_at(at));
    clusters.members =
        BlockColumn<ClusterId>(cluster.samples, std::vector(blocks_.size(), ClusterId(0)));
    clusters.rows.push_back(cluster);
    return find_row_links(world.image, world.heap, world.trace(), clusters, ClusterId(0));
  }
  using Offsets = std::vector<uint64_t>;

  FakeProgram program_;
  std::vector<Addr> blocks_;
};

TEST_F(RowLinksTest, AListHasOneLink) {
  const std::vector<Addr> nodes = blocks(20);
  for (size_t i = 0; i + 1 < nodes.size(); ++i) program_.poke(nodes[i] + 16, nodes[i + 1]);
  const RowLinks links = find();
  EXPECT_EQ(links.offsets, Offsets{16});
  EXPECT_FALSE(links.is_tree);
  EXPECT_FALSE(links.leads_back);
}

TEST_F(RowLinksTest, ALinkMayLeadIntoTheMiddle) {
  const std::vector<Addr> nodes = blocks(20);
  for (size_t i = 0; i + 1 < nodes.size(); ++i) {
    program_.poke(nodes[i] + 16, nodes[i + 1] + 16);
    program_.poke(nodes[i + 1] + 24, nodes[i] + 16);
  }
  const RowLinks links = find();
  EXPECT_EQ(links.offsets, (Offsets{16, 24}));
  EXPECT_FALSE(links.is_tree);
  EXPECT_TRUE(links.leads_back);
}

TEST_F(RowLinksTest, ATreeHasTwoLinksWithEachBlockAtOneEnd) {
  const std::vector<Addr> nodes = blocks(31);
  for (size_t i = 0; 2 * i + 2 < nodes.size(); ++i) {
    program_.poke(nodes[i], nodes[2 * i + 1]);
    program_.poke(nodes[i] + 8, nodes[2 * i + 2]);
  }
  const RowLinks links = find();
  EXPECT_EQ(links.offsets, (Offsets{0, 8}));
  EXPECT_TRUE(links.is_tree);
}

TEST_F(RowLinksTest, OfATreeWithParentsTheParentIsNoBranch) {
  const std::vector<Addr> nodes = blocks(31);
  for (size_t i = 0; 2 * i + 2 < nodes.size(); ++i) {
    program_.poke(nodes[i] + 16, nodes[2 * i + 1]);
    program_.poke(nodes[i] + 24, nodes[2 * i + 2]);
    program_.poke(nodes[2 * i + 1] + 8, nodes[i]);
    program_.poke(nodes[2 * i + 2] + 8, nodes[i]);
  }
  const RowLinks links = find();
  EXPECT_EQ(links.offsets, (Offsets{16, 24}));
  EXPECT_TRUE(links.is_tree);
  EXPECT_TRUE(links.leads_back);
}

TEST_F(RowLinksTest, BlocksThatNameNoneOfTheirKindHaveNoLinks) {
  const std::vector<Addr> nodes = blocks(20);
  const Addr other = program_.block(104);
  for (const Addr node : nodes) program_.poke(node + 8, other);
  program_.poke(nodes[3], nodes[3]);  // itself
  program_.poke(nodes[5], nodes[7]);  // one of twenty
  EXPECT_TRUE(find().offsets.empty());
}

TEST_F(RowLinksTest, LibrariesSayWhatTheirLinksAreCalled) {
  EXPECT_EQ(name_of_library_link("GList", 8), "next");
  EXPECT_EQ(name_of_library_link("GList", 16), "prev");
  EXPECT_EQ(name_of_library_link("GSList", 8), "next");
  EXPECT_EQ(name_of_library_link("GList", 0), "");
  EXPECT_EQ(name_of_library_link("struct job", 8), "");
}

}  // namespace
}  // namespace heapscan

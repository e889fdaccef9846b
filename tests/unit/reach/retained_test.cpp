#include "heapscan/reach/retained.h"

#include <gtest/gtest.h>

#include <set>

#include "support/fake_program.h"

namespace heapscan {
namespace {

// A fake program whose strong roots are groups of their own, one owner for all.
class RetainedTest : public testing::Test {
 protected:
  void find() {
    world_ = program_.build();
    reach_ = world_.trace();
    LiveGraph graph = build_live_graph(world_.image, world_.heap, world_.roots, reach_);
    unexplained_ = graph.unexplained().size();
    RootGroups groups;
    groups.owners = 1;
    for (size_t i = 0; i < graph.root_pointers().size(); ++i) {
      groups.group_of.emplace_back(i);
      groups.owner_of.push_back(RootOwnerId(0));
      groups.is_passing.push_back(passing_.contains(i) ? 1 : 0);
    }
    retained_ = find_retained(world_.image, world_.heap, graph, groups);
  }
  [[nodiscard]] RetainedRow row(Addr block) const {
    const auto row = retained_.row_of(world_.heap.block_at(block));
    EXPECT_TRUE(row.has_value());
    return row.value_or(Retained::kWhole);
  }
  [[nodiscard]] uint64_t bytes(Addr block) const {
    return retained_.bytes(row(block), world_.image, world_.heap);
  }
  [[nodiscard]] BlockId holder(Addr block) const {
    return retained_.block(retained_.parent(row(block)));
  }
  [[nodiscard]] BlockId id(Addr block) const { return world_.heap.block_at(block); }

  FakeProgram program_;
  std::set<size_t> passing_;  // groups
  FakeProgram::World world_;
  Reachability reach_;
  Retained retained_;
  size_t unexplained_ = 0;
};

TEST_F(RetainedTest, EachReachableBlockHasARowBehindThatOfItsHolder) {
  const Addr root = program_.block(104);
  const Addr inner = program_.block(40);
  const Addr leaf = program_.block(24);
  const Addr lost = program_.block(24);
  program_.strong_root(root);
  program_.poke(root, leaf);  // comes first, and is no row among those that lead somewhere
  program_.poke(root + 8, inner);
  program_.poke(inner, root);
  find();
  std::vector<BlockId> blocks;
  RetainedRow last = Retained::kWhole;
  retained_.for_each_row([&](RetainedRow row) {
    if (row != Retained::kWhole) {
      EXPECT_LT(last, row);
      EXPECT_LT(retained_.parent(row), row);
    }
    last = row;
    if (retained_.block(row).valid()) blocks.push_back(retained_.block(row));
  });
  EXPECT_EQ(blocks, (std::vector{id(root), id(inner), id(leaf)}));
  EXPECT_LT(last, retained_.size());
  EXPECT_LT(row(inner), retained_.first_leaf());
  EXPECT_GE(row(leaf), retained_.first_leaf());
  EXPECT_FALSE(retained_.row_of(id(lost)).has_value());
}

TEST_F(RetainedTest, ATreeIsRetainedByItsRoot) {
  const Addr root = program_.block(104);
  const Addr left = program_.block(24);
  const Addr right = program_.block(40);
  program_.strong_root(root);
  program_.poke(root, left);
  program_.poke(root + 8, right);
  find();
  EXPECT_EQ(bytes(root), 104U + 24 + 40);
  EXPECT_EQ(retained_.blocks(row(root)), 3U);
  EXPECT_EQ(bytes(left), 24U);
  EXPECT_EQ(holder(left), id(root));
  EXPECT_TRUE(retained_.group(retained_.parent(row(root))).valid());
  EXPECT_EQ(unexplained_, 0U);
}

TEST_F(RetainedTest, WhatTwoBlocksShareIsRetainedByWhoHoldsBoth) {
  const Addr root = program_.block(104);
  const Addr left = program_.block(24);
  const Addr right = program_.block(24);
  const Addr shared = program_.block(200);
  program_.strong_root(root);
  program_.poke(root, left);
  program_.poke(root + 8, right);
  program_.poke(left, shared);
  program_.poke(right, shared);
  find();
  EXPECT_EQ(holder(shared), id(root));
  EXPECT_EQ(bytes(left), 24U);
}

TEST_F(RetainedTest, WhatTwoRootsShareBelongsToTheirOwner) {
  const Addr one = program_.block(24);
  const Addr other = program_.block(24);
  const Addr shared = program_.block(200);
  program_.strong_root(one);
  program_.strong_root(other);
  program_.poke(one, shared);
  program_.poke(other, shared);
  find();
  EXPECT_TRUE(retained_.owner(retained_.parent(row(shared))).valid());
  EXPECT_EQ(retained_.bytes(), reach_.totals[static_cast<size_t>(Verdict::Reachable)].bytes);
}

// A tree whose nodes know their parents is reachable from each of them.
TEST_F(RetainedTest, PassingWordsCountForNothingThatOthersLeadTo) {
  const Addr top = program_.block(104);
  const Addr child = program_.block(24);
  const Addr of_child = program_.block(40);
  const Addr found_by_chance = program_.block(200);
  program_.poke(top, child);
  program_.poke(child, top);
  program_.poke(child + 8, of_child);
  program_.strong_root(top);
  program_.strong_root(child);
  program_.strong_root(found_by_chance);
  passing_ = {1, 2};
  find();
  EXPECT_EQ(holder(child), id(top));
  EXPECT_EQ(retained_.blocks(row(top)), 3U);
  EXPECT_EQ(retained_.group(retained_.parent(row(top))), RootGroupId(0));
  EXPECT_EQ(retained_.group(retained_.parent(row(found_by_chance))), RootGroupId(2));
}

TEST_F(RetainedTest, TheRoomOfAShortStringHoldsNothing) {
  const Addr strings = program_.block(104);
  const Addr owner = program_.block(24);
  const Addr owned = program_.block(24);
  const Addr only_here = program_.block(40);
  program_.strong_root(strings);
  program_.strong_root(owner);
  program_.poke(owner, owned);
  program_.poke(strings, strings + 16);  // "hi!", over what was there
  program_.poke(strings + 8, uint64_t{3});
  program_.poke(strings + 16, 0x7f5500000000 | uint64_t{0x00'21'69'68});
  program_.poke(strings + 24, owned);
  program_.poke(strings + 32, strings + 48);  // the empty one
  program_.poke(strings + 56, only_here);
  find();
  EXPECT_EQ(holder(owned), id(owner));
  EXPECT_EQ(reach_.verdicts[id(only_here).index()], Verdict::Reachable);
  EXPECT_EQ(unexplained_, 1U) << "it is not lost for that";
}

TEST_F(RetainedTest, AnArrayInItsOwnObjectHoldsWhatItPointsTo) {
  const Addr array = program_.block(104);
  const Addr owned = program_.block(24);
  program_.strong_root(array);
  program_.poke(array, array + 16);
  program_.poke(array + 8, uint64_t{8});
  program_.poke(array + 16, owned);
  find();
  EXPECT_EQ(holder(owned), id(array));
  EXPECT_EQ(unexplained_, 0U);
}

TEST_F(RetainedTest, OfARingEverythingHangsOnWhereItIsEntered) {
  const Addr first = program_.block(24);
  const Addr second = program_.block(24);
  const Addr third = program_.block(24);
  program_.strong_root(first);
  program_.poke(first, second);
  program_.poke(second, third);
  program_.poke(third, first);
  program_.poke(second + 8, first);
  program_.poke(third + 8, second);
  find();
  EXPECT_EQ(bytes(first), 72U);
  EXPECT_EQ(bytes(third), 24U);
}

TEST_F(RetainedTest, AMappingCountsAsFarAsItIsResident) {
  const Addr mapping = program_.mapping(1 << 20);
  program_.strong_root(mapping);
  program_.set_resident(
      {{mapping - 0x1000, mapping + 0x1000}, {mapping + 0x8000, mapping + 0xa000}});
  find();
  EXPECT_EQ(bytes(mapping), 0x3000U);
  EXPECT_EQ(retained_.blocks(row(mapping)), 1U);
}

TEST_F(RetainedTest, AMappingWithoutResidencyCountsAsFarAsTheImageHasIt) {
  const Addr mapping = program_.mapping(1 << 20);
  program_.strong_root(mapping);
  find();
  EXPECT_EQ(bytes(mapping), 1U << 20);
}

// An interior pointer that nothing explains keeps nothing alive; who has one may hold more.
TEST_F(RetainedTest, AmbiguousPointersMakeItTheLeast) {
  const Addr root = program_.block(104);
  const Addr plain = program_.block(104);
  const Addr maybe = program_.block(104);
  program_.strong_root(root);
  program_.strong_root(plain);
  program_.poke(root, maybe + 40);
  find();
  EXPECT_EQ(world_.verdict(reach_, maybe), Verdict::Possible);
  EXPECT_FALSE(retained_.row_of(id(maybe)).has_value());
  EXPECT_TRUE(retained_.is_least(row(root)));
  EXPECT_FALSE(retained_.is_least(row(plain)));
}

}  // namespace
}  // namespace heapscan

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "heapscan/base/text.h"
#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<BlockRow> rows_of(const Report& report) {
  std::vector<BlockRow> rows;
  report.blocks.for_each([&](const BlockRow& row) { rows.push_back(row); });
  return rows;
}

std::vector<Addr> addresses_of(const Report& report) {
  std::vector<Addr> addresses;
  for (const BlockRow& row : rows_of(report)) addresses.push_back(row.address);
  return addresses;
}

class BlockListingTest : public ::testing::Test {
 protected:
  BlockListingTest() {
    definite_ = program_.definite(24);
    indirect_ = program_.indirect(40, definite_);
    possible_ = program_.possible(56);
    reachable_ = program_.reachable(72);
    program_.free_block(88);
    program_.mapping(4096, Verdict::Definite);
    program_.program().poke(definite_ + 8, indirect_);
    analysis_ = program_.judge();
  }
  [[nodiscard]] Report report(BlockList blocks, const std::optional<VerdictSet>& kinds = {}) const {
    ReportOptions options;
    options.blocks = blocks;
    options.kinds = kinds;
    return describe(live_facts(), analysis_, options);
  }
  JudgedProgram program_;
  Analysis analysis_;
  Addr definite_, indirect_, possible_, reachable_;
};

TEST_F(BlockListingTest, HasNoRowsUnlessAskedFor) {
  EXPECT_THAT(rows_of(report(BlockList::None)), IsEmpty());
}

TEST_F(BlockListingTest, ListsLostBlocks) {
  EXPECT_THAT(addresses_of(report(BlockList::Lost)), ElementsAre(definite_, indirect_));
}

TEST_F(BlockListingTest, ListsAllUsedBlocksByAddress) {
  EXPECT_THAT(addresses_of(report(BlockList::All)),
              ElementsAre(definite_, indirect_, possible_, reachable_));
}

TEST_F(BlockListingTest, ListsTheKindsAskedForWhateverItIsCalled) {
  EXPECT_THAT(addresses_of(report(BlockList::Lost, VerdictSet{Verdict::Possible})),
              ElementsAre(possible_));
}

TEST_F(BlockListingTest, NamesGroupAndHolder) {
  const Report all = report(BlockList::All);
  const auto rows = rows_of(all);
  EXPECT_EQ(rows.at(0).cluster, all.leaks.at(0).id);
  EXPECT_THAT(rows[0].held_by, IsEmpty());
  EXPECT_EQ(rows.at(1).cluster, id_of_size(40));
  EXPECT_THAT(rows[1].held_by, HasSubstr(hex(definite_)));
  EXPECT_THAT(rows.at(3).held_by, IsEmpty()) << "what holds reachable blocks is not looked for";
}

TEST_F(BlockListingTest, ListsOneCluster) {
  ReportOptions options;
  options.blocks = BlockList::All;
  options.cluster = analysis_.clusters.of(analysis_.heap.block_at(possible_));
  EXPECT_THAT(addresses_of(describe(live_facts(), analysis_, options)), ElementsAre(possible_));
}

TEST_F(BlockListingTest, MarksSuppressedBlocksWhereAllAreListed) {
  analysis_.suppressed.blocks = {analysis_.heap.block_at(definite_)};
  EXPECT_THAT(addresses_of(report(BlockList::Lost)), ElementsAre(indirect_));
  const auto rows = rows_of(report(BlockList::All));
  EXPECT_TRUE(rows.at(0).suppressed);
  EXPECT_FALSE(rows.at(1).suppressed);
}

TEST(HolderTable, FindsNothingForStrangers) {
  HolderTable table;
  table.blocks = {BlockId(3), BlockId(5)};
  table.holders.resize(2);
  table.holders[1] = Holder();
  EXPECT_EQ(table.of(BlockId(3)), nullptr);
  EXPECT_EQ(table.of(BlockId(4)), nullptr);
  EXPECT_NE(table.of(BlockId(5)), nullptr);
}

}  // namespace
}  // namespace heapscan

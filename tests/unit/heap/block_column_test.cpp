#include "heapscan/heap/block_column.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

TEST(BlockColumn, HasAValueForSomeBlocks) {
  const std::vector<BlockId> blocks = {BlockId(0), BlockId(63), BlockId(64), BlockId(200)};
  BlockColumn<int> made(blocks, {1, 2, 3, 4});
  const BlockColumn<int> column = std::move(made);
  EXPECT_EQ(column.size(), 4U);
  for (size_t i = 0; i < 1000; ++i) {
    const auto at = std::find(blocks.begin(), blocks.end(), BlockId(i));
    EXPECT_EQ(column.has(BlockId(i)), at != blocks.end()) << i;
    EXPECT_EQ(column.of(BlockId(i), -1), at == blocks.end() ? -1 : 1 + (at - blocks.begin())) << i;
  }
  EXPECT_EQ(column.of(BlockId::none(), -1), -1);
}

TEST(BlockColumn, IsGoneThroughInOrder) {
  const std::vector<BlockId> blocks = {BlockId(5), BlockId(64), BlockId(130)};
  const BlockColumn<int> column(blocks, {7, 8, 9});
  std::vector<std::pair<BlockId, int>> found;
  column.for_each([&](BlockId block, int value) { found.emplace_back(block, value); });
  EXPECT_EQ(found, (std::vector<std::pair<BlockId, int>>{
                       {BlockId(5), 7}, {BlockId(64), 8}, {BlockId(130), 9}}));
}

TEST(BlockColumn, OfNoBlocksIsEmpty) {
  const BlockColumn<int> column;
  EXPECT_TRUE(column.empty());
  EXPECT_FALSE(column.has(BlockId(0)));
  column.for_each([](BlockId, int) { ADD_FAILURE(); });
}

TEST(BlockColumn, WantsOneValueForEach) {
  const std::vector<BlockId> blocks = {BlockId(1), BlockId(2)};
  EXPECT_DEATH(BlockColumn<int>(blocks, {1}), "does not hold");
  EXPECT_DEATH(BlockColumn<int>(std::vector{BlockId(2), BlockId(1)}, {1, 2}), "does not hold");
}

}  // namespace
}  // namespace heapscan

#include "heapscan/heap/block_index.h"

#include <gtest/gtest.h>

#include <vector>

namespace heapscan {
namespace {

constexpr Addr kBegin(0x555500000000);

void expect_found(const BlockIndex& index, const std::vector<Block>& blocks) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Addr last = blocks[i].range().end() - 1;
    for (const Addr address : {blocks[i].begin(), last}) {
      const uint32_t range = index.range_at(address.value);
      ASSERT_NE(range, BlockIndex::kNoRange);
      EXPECT_EQ(index.block_before(index.ranges()[range], address.value), BlockId(i));
    }
  }
}

// A heap may claim any size: what an index costs follows from the blocks in it.
TEST(BlockIndex, ASparseHeapCostsWhatItsBlocksCost) {
  std::vector<Block> blocks;
  const auto add = [&](uint64_t offset, uint64_t size) {
    blocks.emplace_back(kBegin + offset, size, BlockState::Used, ArenaId(0));
  };
  for (uint64_t i = 0; i < 100; ++i) add(16 + i * 48, 40);
  add(uint64_t{1} << 40, (uint64_t{1} << 41) - 24);
  for (uint64_t i = 0; i < 100; ++i) add((uint64_t{1} << 42) + i * 48, 40);
  const std::vector<AddrRange> grids = {AddrRange::sized(kBegin, uint64_t{1} << 45)};
  const BlockIndex index(blocks, grids);
  expect_found(index, blocks);
  ASSERT_EQ(index.ranges().size(), 3U);
  EXPECT_EQ(index.ranges()[0].blocks, 100U);
  EXPECT_EQ(index.ranges()[1].first_word, BlockIndex::kNoGrid);
  EXPECT_EQ(index.ranges()[2].blocks, 100U);
  EXPECT_LT(index.ranges()[2].first_word, 100U);
}

TEST(BlockIndex, ADenseHeapIsOneGrid) {
  std::vector<Block> blocks;
  for (uint64_t i = 0; i < 1000; ++i)
    blocks.emplace_back(kBegin + 16 + i * 0x8000, 0x7ff8, BlockState::Used, ArenaId(0));
  const std::vector<AddrRange> grids = {AddrRange::sized(kBegin, 1000 * 0x8000 + 16)};
  const BlockIndex index(blocks, grids);
  expect_found(index, blocks);
  EXPECT_EQ(index.ranges().size(), 1U);
}

}  // namespace
}  // namespace heapscan

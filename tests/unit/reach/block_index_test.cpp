#include "heapscan/heap/block_index.h"

#include <gtest/gtest.h>

#include <random>

namespace heapscan {
namespace {

BlockId slow_block_at(const std::vector<Block>& blocks, Addr address) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].range().contains(address)) return BlockId(i);
  }
  return BlockId::none();
}

BlockId fast_block_at(const BlockIndex& index, const std::vector<Block>& blocks, Addr address) {
  const uint32_t range = index.range_at(address.value);
  if (range == BlockIndex::kNoRange) return BlockId::none();
  const BlockId id = index.block_before(index.ranges()[range], address.value);
  return id.valid() && blocks[id.index()].range().contains(address) ? id : BlockId::none();
}

struct Layout {
  std::vector<Block> blocks;
  std::vector<AddrRange> grids;
};

// Grids and blocks with a mapping of their own, alternating, spread over stretches far apart.
Layout random_layout(std::mt19937_64& random) {
  Layout layout;
  uint64_t at = 0x555555559000;
  for (int part = 0; part < 12; ++part) {
    at += (uint64_t{1} << (random() % 42)) / 4096 * 4096 + 4096;
    if (random() % 2 == 0) {
      const uint64_t size = 4096 + random() % 200 * 32;
      layout.blocks.emplace_back(Addr(at + 16), size, BlockState::Used, ArenaId::none());
      at += size + 4096;
      continue;
    }
    const uint64_t begin = at;
    const uint64_t chunks = random() % 300;
    for (uint64_t i = 0; i < chunks; ++i) {
      const uint64_t chunk = 32 + random() % 20 * (random() % 10 == 0 ? 1600 : 16);
      layout.blocks.emplace_back(Addr(at + 16), chunk / 16 * 16 - 8, BlockState::Used, ArenaId(0));
      at += chunk / 16 * 16;
    }
    at += 32;
    layout.grids.emplace_back(Addr(begin), Addr(at));
  }
  return layout;
}

TEST(BlockIndex, AgreesWithALinearSearch) {
  std::mt19937_64 random(1);
  for (int run = 0; run < 30; ++run) {
    const Layout layout = random_layout(random);
    const BlockIndex index(layout.blocks, layout.grids);
    for (const Block& block : layout.blocks) {
      for (const Addr address :
           {block.begin() - 1, block.begin(), block.begin() + block.size() / 2,
            block.range().end() - 1, block.range().end(), block.range().end() + 8}) {
        ASSERT_EQ(fast_block_at(index, layout.blocks, address),
                  slow_block_at(layout.blocks, address))
            << std::hex << address.value;
      }
    }
    for (int i = 0; i < 200; ++i) {
      const Addr address(random() >> (random() % 64));
      ASSERT_EQ(fast_block_at(index, layout.blocks, address),
                slow_block_at(layout.blocks, address));
    }
  }
}

TEST(BlockIndex, OfNothingFindsNothing) {
  const BlockIndex index;
  EXPECT_EQ(index.range_at(0), BlockIndex::kNoRange);
  EXPECT_EQ(index.range_at(~uint64_t{0}), BlockIndex::kNoRange);
}

TEST(BlockIndex, GridWithoutBlocksFindsNothing) {
  const std::vector<AddrRange> grids = {AddrRange(Addr(0x1000), Addr(0x9000))};
  const BlockIndex index({}, grids);
  ASSERT_NE(index.range_at(0x1000), BlockIndex::kNoRange);
  EXPECT_FALSE(index.block_before(index.ranges()[0], 0x1000).valid());
  EXPECT_EQ(index.range_at(0x9000), BlockIndex::kNoRange);
}

TEST(BlockIndex, LastWordBehindItsGridIsFound) {
  const std::vector<AddrRange> grids = {{Addr(0x1000), Addr(0x2000)}, {Addr(0x2000), Addr(0x3000)}};
  const std::vector<Block> blocks = {{Addr(0x1010), 0xff8, BlockState::Used, ArenaId(0)},
                                     {Addr(0x2010), 0xff8, BlockState::Used, ArenaId(1)}};
  const BlockIndex index(blocks, grids);
  EXPECT_EQ(fast_block_at(index, blocks, Addr(0x2007)), BlockId(0));
  EXPECT_FALSE(fast_block_at(index, blocks, Addr(0x2008)).valid());
  EXPECT_EQ(fast_block_at(index, blocks, Addr(0x2010)), BlockId(1));
  EXPECT_EQ(fast_block_at(index, blocks, Addr(0x3007)), BlockId(1));
}

TEST(BlockIndex, ManySmallRangesInOneWindow) {
  std::vector<Block> blocks;
  for (uint64_t i = 0; i < 5000; ++i) {
    blocks.emplace_back(Addr(0x7f0000000000 + i * 64), 32, BlockState::Used, ArenaId::none());
  }
  const BlockIndex index(blocks, std::span<const AddrRange>());
  for (uint64_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(fast_block_at(index, blocks, blocks[i].begin() + 31), BlockId(i));
    EXPECT_FALSE(fast_block_at(index, blocks, blocks[i].begin() + 32).valid());
  }
}

}  // namespace
}  // namespace heapscan

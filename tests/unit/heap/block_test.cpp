#include "heapscan/heap/block.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

TEST(Block, IsWhatItWasMadeOf) {
  for (const Addr begin : {Addr(0x10), Addr(0x555555559010), Addr(0x7ffffffffff0)}) {
    for (const uint64_t size :
         {uint64_t{0}, uint64_t{24}, 4 * kGiB, 32 * kGiB, 32 * kGiB + 8, Block::kLargestInArena}) {
      for (const ArenaId arena : {ArenaId::none(), ArenaId(0), ArenaId(Block::kArenas - 1)}) {
        for (const BlockState state : {BlockState::Used, BlockState::Mapping}) {
          const Block block(begin, size, state, arena);
          EXPECT_EQ(block.begin(), begin);
          EXPECT_EQ(block.size(), size);
          EXPECT_EQ(block.state(), state);
          EXPECT_EQ(block.arena(), arena);
        }
      }
    }
  }
}

TEST(Block, ChangesItsStateOnly) {
  Block block(Addr(0x7f0000000010), 40 * kGiB, BlockState::Used, ArenaId(7));
  block.set_state(BlockState::Binned);
  EXPECT_EQ(block.state(), BlockState::Binned);
  EXPECT_EQ(block.begin(), Addr(0x7f0000000010));
  EXPECT_EQ(block.size(), 40 * kGiB);
  EXPECT_EQ(block.arena(), ArenaId(7));
}

TEST(Block, IsCutToWhatFits) {
  const uint64_t huge = uint64_t{1} << 60;
  EXPECT_EQ(Block(Addr(16), huge, BlockState::Used, ArenaId(1)).size(), Block::kLargestInArena);
  EXPECT_EQ(Block(Addr(16), huge, BlockState::Mapping, ArenaId::none()).size(),
            Block::kLargestSize);
  EXPECT_EQ(Block(Addr(16), 24, BlockState::Used, ArenaId(Block::kArenas)).arena(),
            ArenaId::none());
}

TEST(Block, OfAnOddMappingHasTheBytesBetweenPlaces) {
  const Block block(Addr(0x1003), 0x105, BlockState::Mapping, ArenaId::none());
  EXPECT_EQ(block.begin(), Addr(0x1010));
  EXPECT_EQ(block.size(), 0xf8U);
  EXPECT_EQ(Block(Addr(0x1003), 12, BlockState::Mapping, ArenaId::none()).size(), 0U);
}

}  // namespace
}  // namespace heapscan

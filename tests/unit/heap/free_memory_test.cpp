// What keeps free memory from going back to the system, on heaps laid out by hand.
#include "heapscan/heap/free_memory.h"

#include <gtest/gtest.h>

#include "support/fake_heap.h"

namespace heapscan {
namespace {

FreeMemory free_memory_of(FakeHeap& fake) {
  const HeapModel heap = fake.walk();
  return find_free_memory(fake.image(), heap);
}

class FreeMemoryTest : public testing::Test {
 protected:
  FakeHeap fake_{glibc::families()[7]};
};

TEST_F(FreeMemoryTest, ABlockInUseKeepsWhatIsFreeBelowIt) {
  fake_.main().used(24);
  const Addr gone = fake_.main().binned(5 * 4096);
  const Addr pin = fake_.main().used(40);
  fake_.main().used(72);
  fake_.seal();
  const HeapModel heap = fake_.walk();
  const FreeMemory memory = find_free_memory(fake_.image(), heap);
  const ArenaFree& arena = memory.arenas[ArenaId(0)];
  ASSERT_EQ(arena.stretches.size(), 1U);
  const FreeStretch& stretch = arena.stretches.front();
  EXPECT_EQ(stretch.begin, gone);
  EXPECT_EQ(stretch.bytes, pin - 16 - gone);
  ASSERT_TRUE(stretch.pin.valid());
  EXPECT_EQ(heap.block(stretch.pin).begin(), pin);
  EXPECT_EQ(stretch.above_blocks, 2U);
  EXPECT_EQ(stretch.above_bytes, 40U + 72U);
  EXPECT_EQ(stretch.page_bytes, (heap.block(heap.block_at(gone)).range().end().align_down(4096) -
                                 (gone + 32).align_up(4096)));
  ASSERT_TRUE(arena.last.valid());
  EXPECT_EQ(heap.block(arena.last).size(), 72U);
  EXPECT_EQ(memory.pins().size(), 2U);
}

TEST_F(FreeMemoryTest, SumsAreThoseOfTheBlockTable) {
  fake_.main().used(200);
  fake_.main().binned(3000);
  fake_.main().used(40);
  fake_.seal();
  const HeapModel heap = fake_.walk();
  const FreeMemory memory = find_free_memory(fake_.image(), heap);
  EXPECT_EQ(memory.free_bytes, heap.totals.free.bytes + heap.totals.top_bytes);
  EXPECT_EQ(memory.used_bytes, heap.totals.used.bytes);
}

TEST_F(FreeMemoryTest, OfPagesOnlyResidentOnesCount) {
  fake_.main().used(24);
  const Addr gone = fake_.main().binned(5 * 4096);
  fake_.main().used(24);
  fake_.seal();
  Residency residency;
  residency.resident = {AddrRange::sized((gone + 32).align_up(4096), 2 * 4096)};
  fake_.process.set_residency(residency);
  EXPECT_EQ(free_memory_of(fake_).page_bytes, 2U * 4096);
}

TEST_F(FreeMemoryTest, TheEndOfAnotherArenaIsNotTrimmed) {
  fake_.main().used(24);
  fake_.new_arena().used(24);
  fake_.seal();
  const FreeMemory memory = free_memory_of(fake_);
  ASSERT_EQ(memory.arenas.size(), 2U);
  EXPECT_GT(memory.arenas[ArenaId(0)].end_bytes, 0U);
  EXPECT_EQ(memory.arenas[ArenaId(0)].page_bytes, memory.arenas[ArenaId(0)].end_bytes);
  EXPECT_GT(memory.arenas[ArenaId(1)].end_bytes, 0U);
  EXPECT_EQ(memory.arenas[ArenaId(1)].page_bytes, 0U);
}

TEST_F(FreeMemoryTest, AFreedBlockInATcacheKeepsWhatIsBelowIt) {
  fake_.main().used(24);
  fake_.main().binned(4096);
  fake_.tcache(fake_.main(), 0, {100});
  fake_.seal();
  const HeapModel heap = fake_.walk();
  const FreeMemory memory = find_free_memory(fake_.image(), heap);
  const ArenaFree& arena = memory.arenas[ArenaId(0)];
  ASSERT_TRUE(arena.last.valid());
  EXPECT_EQ(heap.block(arena.last).state(), BlockState::Tcache);
}

TEST_F(FreeMemoryTest, OnlyTheLargestStretchesAreKept) {
  for (uint64_t i = 0; i < 20; ++i) {
    fake_.main().binned(512 + 16 * ((7 * i) % 20));
    fake_.main().used(24);
  }
  fake_.seal();
  const FreeMemory memory = free_memory_of(fake_);
  const auto& stretches = memory.arenas[ArenaId(0)].stretches;
  ASSERT_EQ(stretches.size(), ArenaFree::kStretches);
  EXPECT_GT(stretches[0].bytes, stretches[1].bytes);
  EXPECT_GT(stretches[1].bytes, stretches[2].bytes);
  EXPECT_GE(stretches[2].bytes, 512U + 16 * 17);
}

TEST_F(FreeMemoryTest, AnEarlierHeapEndsWithoutAPin) {
  FakeArena& arena = fake_.new_arena();
  arena.used(24);
  arena.binned(8192);
  arena.new_heap(4096);
  arena.used(24);
  fake_.seal();
  const HeapModel heap = fake_.walk();
  const FreeMemory memory = find_free_memory(fake_.image(), heap);
  for (const FreeStretch& stretch : memory.arenas[ArenaId(1)].stretches) {
    if (!stretch.pin.valid()) continue;
    EXPECT_NE(heap.block(stretch.pin).state(), BlockState::Bookkeeping);
  }
}

TEST_F(FreeMemoryTest, MuchIsAMebibyteAndAQuarterOfWhatIsInUse) {
  FreeMemory memory;
  memory.used_bytes = 8 << 20;
  memory.free_bytes = 2 << 20;
  EXPECT_TRUE(memory.is_large());
  memory.used_bytes = 9 << 20;
  EXPECT_FALSE(memory.is_large());
  memory.used_bytes = 0;
  memory.free_bytes = (1 << 20) - 1;
  EXPECT_FALSE(memory.is_large());
}

}  // namespace
}  // namespace heapscan

// A process stopped inside malloc, its arena locked: nothing of this is damage.

#include <gmock/gmock.h>

#include "heap_expectations.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

TEST(HalfState, TopMovedButItsHeaderIsNotWritten) {
  FakeHeap fake(usual());
  fake.main().used(104);
  const Addr taken = fake.main().used(200);
  fake.main().locked = true;
  fake.seal();
  const Addr top = fake.main().top;
  const Addr end = FakeHeap::kBreak + FakeHeap::kHeapSize;
  // The block just cut from top still has top's size; the new top has none.
  fake.process.poke(taken - 8, (end - (taken - 16)) | 1);
  fake.process.poke(top + 8, 0);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(state_at(heap, taken), "used");
  EXPECT_EQ(heap.block(heap.block_at(taken)).size(), 200U);
  EXPECT_EQ(state_at(heap, top + 16), "top");
}

TEST(HalfState, TopWithoutItsHeaderAfterTheBlockHasOne) {
  FakeHeap fake(usual());
  const Addr kept = fake.main().used(104);
  fake.main().locked = true;
  fake.seal();
  fake.process.poke(fake.main().top + 8, 0);
  const HeapModel heap = fake.walk();
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(state_at(heap, kept), "used");
  EXPECT_EQ(state_at(heap, fake.main().top + 16), "top");
}

TEST(HalfState, ChunkOutOfItsBinButStillCalledFree) {
  FakeHeap fake(usual());
  fake.main().used(104);
  const Addr gone = fake.main().unsorted(200);
  fake.main().used(104);
  fake.main().locked = true;
  fake.seal();
  const Addr unsorted = FakeHeap::kMainArena + usual().arena->bins - 16;
  fake.process.poke(unsorted + 16, unsorted);
  fake.process.poke(unsorted + 24, unsorted);
  const HeapModel heap = fake.walk();
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(state_at(heap, gone), "binned");
  EXPECT_TRUE(check_named(heap, "bins").ok);
  EXPECT_THAT(check_named(heap, "bins").detail, testing::HasSubstr("in flux"));
}

TEST(HalfState, BinInsertHalfDone) {
  FakeHeap fake(usual());
  fake.main().used(104);
  const Addr first = fake.main().unsorted(200);
  fake.main().used(104);
  const Addr second = fake.main().unsorted(200);
  fake.main().used(104);
  fake.main().locked = true;
  fake.seal();
  fake.process.poke(second + 8, 0);  // bk not yet set
  const HeapModel heap = fake.walk();
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(state_at(heap, first), "binned");
  EXPECT_EQ(state_at(heap, second), "binned");
}

TEST(HalfState, GrowthNotYetCounted) {
  FakeHeap fake(usual());
  const Addr kept = fake.main().used(104);
  fake.main().system_mem += 0x21000;
  fake.main().locked = true;
  fake.seal();
  const HeapModel heap = fake.walk();
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(state_at(heap, kept), "used");
  EXPECT_TRUE(check_named(heap, "system_mem").ok);
}

TEST(HalfState, TheSameWithoutALockIsDamage) {
  FakeHeap fake(usual());
  fake.main().used(104);
  fake.main().unsorted(200);
  fake.main().used(104);
  fake.seal();
  const Addr unsorted = FakeHeap::kMainArena + usual().arena->bins - 16;
  fake.process.poke(unsorted + 16, unsorted);
  fake.process.poke(unsorted + 24, unsorted);
  const HeapModel heap = fake.walk();
  EXPECT_THAT(notes_of(heap), testing::HasSubstr("in no bin"));
  EXPECT_FALSE(check_named(heap, "bins").ok);
}

}  // namespace
}  // namespace heapscan

// What stays allocated for threads that have ended: their vectors and blocks of thread-local
// storage are bookkeeping, and those of living threads are the program's.

#include "heap/allocator.h"

#include <gmock/gmock.h>

#include "heap_expectations.h"
#include "runtime/runtime_parts.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

constexpr Addr kDescriptor{0x7fffe0000000};

// A thread with a vector of one module's storage, which begins 0x40 bytes into its block.
struct World {
  World() {
    vector = fake.main().used(64);
    storage = fake.main().used(200);
    other = fake.main().used(200);
    fake.process.map(kDescriptor, kPage);
    fake.process.poke(kDescriptor + 8, vector + 16);
    fake.process.poke(vector, uint64_t{2});  // modules there is room for
    fake.process.poke(vector + 32, storage + 0x40);
    fake.process.poke(vector + 40, storage);
  }

  HeapModel walk(ThreadArea::Fate fate) {
    fake.seal();
    HeapModel heap = fake.walk();
    ThreadArea area;
    area.fate = fate;
    area.descriptor = kDescriptor;
    RuntimeFacts runtime;
    runtime.ended_storage = storage_of_ended_threads(fake.image(), {&area, 1});
    mark_ended_storage(runtime, heap);
    return heap;
  }

  FakeHeap fake{glibc::families().back()};
  Addr vector;
  Addr storage;
  Addr other;
};

TEST(EndedThreads, StorageIsBookkeeping) {
  for (const auto fate : {ThreadArea::Fate::Cached, ThreadArea::Fate::Exited}) {
    World world;
    const HeapModel heap = world.walk(fate);
    EXPECT_EQ(state_at(heap, world.vector), "bookkeeping");
    EXPECT_EQ(state_at(heap, world.storage), "bookkeeping");
    EXPECT_EQ(state_at(heap, world.other), "used");
  }
}

TEST(EndedThreads, StorageOfLivingThreadsIsUsed) {
  World world;
  const HeapModel heap = world.walk(ThreadArea::Fate::Live);
  EXPECT_EQ(state_at(heap, world.vector), "used");
  EXPECT_EQ(state_at(heap, world.storage), "used");
}

TEST(EndedThreads, ManyThreadsThatShareALongVectorCostNoMore) {
  constexpr Addr kVector{0x7fffd0000000};
  constexpr uint64_t kEntries = 1 << 16;
  FakeProcess process;
  process.map(kDescriptor, kPage);
  process.map(kVector, (kEntries + 2) * 16 + kPage);
  process.poke(kDescriptor + 8, kVector + 16);
  process.poke(kVector, kEntries);
  for (uint64_t i = 1; i <= kEntries; ++i) process.poke(kVector + 16 + i * 16, Addr(0x7ffff000));
  ThreadArea area;
  area.fate = ThreadArea::Fate::Cached;
  area.descriptor = kDescriptor;
  const std::vector<ThreadArea> threads(100, area);
  uint64_t blocks = 0;
  for (const EndedStorage& storage : storage_of_ended_threads(process.build(), threads))
    blocks += storage.blocks.size();
  EXPECT_EQ(blocks, kMostEndedEntries);
}

TEST(EndedThreads, VectorThatDoesNotFitItsBlockIsNone) {
  World world;
  world.fake.process.poke(world.vector, uint64_t{3});  // 5 entries of 16 bytes do not fit 72
  const HeapModel heap = world.walk(ThreadArea::Fate::Cached);
  EXPECT_EQ(state_at(heap, world.vector), "used");
  EXPECT_EQ(state_at(heap, world.storage), "used");
}

TEST(EndedThreads, PointerIntoABlockNamesNoStorage) {
  World world;
  world.fake.process.poke(world.vector + 40, world.other + 16);
  const HeapModel heap = world.walk(ThreadArea::Fate::Cached);
  EXPECT_EQ(state_at(heap, world.vector), "bookkeeping");
  EXPECT_EQ(state_at(heap, world.other), "used");
}

}  // namespace
}  // namespace heapscan

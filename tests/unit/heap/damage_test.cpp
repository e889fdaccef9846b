// Broken heaps: what is said, what is lost, and that the blocks on both sides are kept.

#include <gmock/gmock.h>

#include "heap_expectations.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

using testing::HasSubstr;

const glibc::Family& newest() { return glibc::families().back(); }

struct Row {
  FakeHeap fake{usual()};
  std::vector<Addr> blocks;
  explicit Row(size_t count = 40, uint64_t size = 104) {
    for (size_t i = 0; i < count; ++i) blocks.push_back(fake.main().used(size));
    fake.seal();
  }
};

TEST(Damage, TextWrittenPastTheEndOfABlock) {
  Row row;
  // From the 6th into the 7th's header, and on.
  for (uint64_t i = 0; i < 4; ++i)
    row.fake.process.poke(row.blocks[5] + 96 + 8 * i, 0x4141414141414141);
  const HeapModel heap = row.fake.walk();
  expect_consistent(heap);
  expect_every_byte_accounted_for(heap);
  for (size_t i = 0; i < row.blocks.size(); ++i) {
    EXPECT_EQ(state_at(heap, row.blocks[i]), i == 6 ? "no block" : "used") << i;
  }
  EXPECT_THAT(notes_of(heap), HasSubstr("free(): invalid next size (normal)"));
  EXPECT_THAT(notes_of(heap), HasSubstr(hex(row.blocks[5])));
  ASSERT_EQ(heap.damaged.size(), 1U);
  EXPECT_TRUE(heap.damaged[0].contains(row.blocks[6]));
}

// Registers of a damaged core hold anything; a search that goes by address must end there too.
TEST(Damage, AThreadPointerAtTheEndOfTheAddressSpace) {
  Row row;
  row.fake.process.add_thread(77, Addr(~uint64_t{0}), FakeProcess::kFirstStack);
  const HeapModel heap = row.fake.walk();
  expect_consistent(heap);
  EXPECT_EQ(state_at(heap, row.blocks[5]), "used");
}

TEST(Damage, LowByteOfASizeOverwritten) {
  for (const uint64_t low : {0x00U, 0x41U, 0x20U, 0xffU}) {
    Row row;
    // A string that fills the block before to its end, and one byte more; or something else that
    // wrote that byte.
    if (low == 0x00 || low == 0xff) row.fake.process.poke(row.blocks[6] - 16, 0x6968676665646362);
    row.fake.process.poke(row.blocks[6] - 8, low);
    const HeapModel heap = row.fake.walk();
    expect_consistent(heap);
    for (const Addr block : row.blocks)
      EXPECT_EQ(state_at(heap, block), "used") << low << " " << hex(block);
    EXPECT_EQ(heap.block(heap.block_at(row.blocks[6])).size(), 104U) << low;
    EXPECT_THAT(notes_of(heap), HasSubstr("low byte")) << low;
    EXPECT_TRUE(heap.damaged.empty());
  }
}

TEST(Damage, ZeroByteOnlyClearsTheFlag) {
  FakeHeap fake(usual());
  const Addr before = fake.main().used(104);
  const Addr hit =
      fake.main().used(0xf8);  // chunk size 0x100: zeroing the low byte changes only the flag
  fake.main().used(104);
  fake.seal();
  fake.process.poke(hit - 8, 0x100);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  EXPECT_EQ(state_at(heap, before), "used");
  EXPECT_EQ(state_at(heap, hit), "used");
  EXPECT_THAT(notes_of(heap), HasSubstr("corrupted size vs. prev_size"));
}

TEST(Damage, EverythingUpToTheEnd) {
  Row row;
  for (uint64_t at = row.blocks[30].value + 96; at < FakeHeap::kBreak.value + FakeHeap::kHeapSize;
       at += 8) {
    row.fake.process.poke(Addr(at), 0x6161616161616161);
  }
  const HeapModel heap = row.fake.walk();
  expect_consistent(heap);
  for (size_t i = 0; i <= 30; ++i) EXPECT_EQ(state_at(heap, row.blocks[i]), "used") << i;
  EXPECT_THAT(notes_of(heap), HasSubstr("free(): invalid next size"));
}

TEST(Damage, FirstChunk) {
  Row row;
  row.fake.process.poke(row.blocks[0] - 8, 0);
  const HeapModel heap = row.fake.walk();
  expect_consistent(heap);
  for (size_t i = 1; i < row.blocks.size(); ++i)
    EXPECT_EQ(state_at(heap, row.blocks[i]), "used") << i;
  EXPECT_FALSE(heap.notes.empty());
}

TEST(Damage, TopSize) {
  Row row;
  row.fake.process.poke(row.fake.main().top + 8, 0x7777777777777771);
  const HeapModel heap = row.fake.walk();
  expect_consistent(heap);
  for (const Addr block : row.blocks) EXPECT_EQ(state_at(heap, block), "used");
  EXPECT_EQ(state_at(heap, row.fake.main().top + 16), "top");
}

TEST(Damage, FreedBlockWrittenTo) {
  FakeHeap fake(usual());
  fake.main().used(104);
  const Addr gone = fake.main().unsorted(200);
  fake.main().used(104);
  const Addr also_gone = fake.main().unsorted(200);
  fake.main().used(104);
  fake.seal();
  fake.process.poke(gone, 0x4242424242424242);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  EXPECT_EQ(state_at(heap, gone), "binned");
  EXPECT_EQ(state_at(heap, also_gone), "binned");
  EXPECT_FALSE(check_named(heap, "bins").ok);
  EXPECT_THAT(notes_of(heap), HasSubstr("malloc(): unsorted double linked list corrupted"));
}

TEST(Damage, BackLinkOfAFreeChunk) {
  FakeHeap fake(usual());
  fake.main().used(104);
  const Addr gone = fake.main().binned(2000);
  fake.main().used(104);
  fake.seal();
  fake.process.poke(gone + 8, gone);
  const HeapModel heap = fake.walk();
  EXPECT_EQ(state_at(heap, gone), "binned");
  EXPECT_THAT(notes_of(heap), HasSubstr("corrupted double-linked list"));
}

TEST(Damage, ChunkInABinThatIsCalledUsed) {
  FakeHeap fake(usual());
  fake.main().used(104);
  const Addr gone = fake.main().unsorted(200);
  const Addr after = fake.main().used(104);
  fake.seal();
  fake.process.poke(after - 8, 0x71);
  const HeapModel heap = fake.walk();
  EXPECT_EQ(state_at(heap, gone), "binned") << "free means free";
  EXPECT_THAT(notes_of(heap), HasSubstr("malloc(): invalid next->prev_inuse (unsorted)"));
}

TEST(Damage, TcacheLinks) {
  for (const glibc::Family* family : {&usual(), &newest()}) {
    FakeHeap fake(*family);
    const Addr tcache = fake.tcache(fake.main(), 0, {24, 24, 24, 40, 40});
    fake.main().used(24);
    fake.seal();
    // The second of three, where the link to the first lies.
    fake.process.poke(fake.cached[1], 0x4343434343434343);
    const HeapModel heap = fake.walk();
    EXPECT_EQ(state_at(heap, tcache), "bookkeeping");
    EXPECT_EQ(state_at(heap, fake.cached[2]), "tcache");
    EXPECT_EQ(state_at(heap, fake.cached[1]), "tcache");
    EXPECT_EQ(state_at(heap, fake.cached[3]), "tcache");
    EXPECT_THAT(notes_of(heap), HasSubstr("malloc(): unaligned tcache chunk detected"));
    EXPECT_FALSE(check_named(heap, "tcache_counts").ok);
  }
}

TEST(Damage, BlockCachedTwice) {
  FakeHeap fake(usual());
  fake.tcache(fake.main(), 0, {24, 24});
  fake.main().used(24);
  fake.seal();
  const Addr last = fake.cached[0];
  fake.process.poke(last, fake.cached[1].value ^ (last.value >> 12));
  const HeapModel heap = fake.walk();
  EXPECT_THAT(notes_of(heap), HasSubstr("free(): double free detected in tcache 2"));
  EXPECT_EQ(state_at(heap, last), "tcache");
}

TEST(Damage, FastbinLoop) {
  FakeHeap fake(glibc::families()[5]);
  const Addr first = fake.main().fast(24);
  const Addr second = fake.main().fast(24);
  fake.main().used(24);
  fake.seal();
  fake.process.poke(first, second - 16);
  const HeapModel heap = fake.walk();
  EXPECT_EQ(state_at(heap, first), "fastbin");
  EXPECT_EQ(state_at(heap, second), "fastbin");
  EXPECT_THAT(notes_of(heap), HasSubstr("double free or corruption (fasttop)"));
}

TEST(Damage, HeapHeader) {
  FakeHeap fake(usual());
  fake.main().used(24);
  FakeArena& arena = fake.new_arena();
  const Addr block = arena.used(100);
  fake.seal();
  fake.process.poke(arena.heap + 16, 0xffffffffffff);
  fake.process.poke(arena.heap + 8, 0x123456);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  EXPECT_EQ(state_at(heap, block), "used");
  EXPECT_THAT(notes_of(heap), HasSubstr("which cannot be"));
}

TEST(Damage, OneArenaDoesNotSpoilTheOthers) {
  FakeHeap fake(usual());
  const Addr good = fake.main().used(24);
  FakeArena& bad = fake.new_arena();
  bad.used(100);
  FakeArena& other = fake.new_arena();
  const Addr also_good = other.used(100);
  fake.seal();
  for (uint64_t i = 0; i < 0x1000; i += 8) fake.process.poke(bad.begin + i, 0x1111111111111111);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  EXPECT_EQ(state_at(heap, good), "used");
  EXPECT_EQ(state_at(heap, also_good), "used");
  EXPECT_EQ(heap.arenas.size(), 3U);
}

TEST(Damage, NotesAreBounded) {
  FakeHeap fake(usual());
  std::vector<Addr> blocks;
  for (size_t i = 0; i < 900; ++i) blocks.push_back(fake.main().used(104));
  fake.seal();
  for (size_t i = 10; i < 900; i += 20) fake.process.poke(blocks[i] - 8, 0x5151515151515151);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  expect_every_byte_accounted_for(heap);
  size_t notes = 0;
  for (const Note& note : heap.notes) notes += note.kind == NoteKind::HeapDamage ? 1 : 0;
  EXPECT_EQ(notes, 21U);
  EXPECT_THAT(heap.notes.back().text, HasSubstr("more places"));
  EXPECT_EQ(state_at(heap, blocks[9]), "used");
  EXPECT_EQ(state_at(heap, blocks[11]), "used");
  EXPECT_EQ(state_at(heap, blocks[899]), "used");
}

}  // namespace
}  // namespace heapscan

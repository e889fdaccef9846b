// Sound heaps of every family of versions: given these chunks, expect these blocks.

#include <gmock/gmock.h>

#include "heap_expectations.h"
#include "heapscan/base/error.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

class EveryFamily : public testing::TestWithParam<glibc::Family> {};
class EveryFamilyWithTcache : public EveryFamily {};

std::string versions_of(const testing::TestParamInfo<glibc::Family>& test) {
  std::string name = test.param.versions;
  for (char& c : name) c = c == '.' || c == '-' ? '_' : c;
  return name;
}

std::vector<glibc::Family> with_tcache() {
  std::vector<glibc::Family> families(glibc::families().begin(), glibc::families().end());
  std::erase_if(families, [](const glibc::Family& family) { return family.tcache == nullptr; });
  return families;
}

INSTANTIATE_TEST_SUITE_P(Families, EveryFamily,
                         testing::ValuesIn(glibc::families().begin(), glibc::families().end()),
                         versions_of);
INSTANTIATE_TEST_SUITE_P(Families, EveryFamilyWithTcache, testing::ValuesIn(with_tcache()),
                         versions_of);

TEST(WalkHeap, AsksDwarfAboutAnArenaThatNoKnownVersionHas) {
  const glibc::Family& known = glibc::families().back();
  glibc::ArenaLayout arena = *known.arena;
  arena.bins += 0x20;
  arena.size += 0x20;
  glibc::Family unknown = known;
  unknown.arena = &arena;
  const StructLayouts structs = {{"malloc_state",
                                  {arena.size,
                                   {{"top", arena.top()},
                                    {"bins", arena.bins},
                                    {"next", arena.next()},
                                    {"attached_threads", arena.attached()},
                                    {"system_mem", arena.system_mem()}}}}};
  FakeHeap fake(unknown);
  const Addr block = fake.main().used(100);
  fake.seal();
  const HeapModel heap = fake.walk([&] { return structs; });
  EXPECT_EQ(heap.layout_source, LayoutSource::Dwarf);
  EXPECT_EQ(state_at(heap, block), "used");
  expect_every_byte_accounted_for(heap);
}

TEST_P(EveryFamily, DwarfIsNotReadForNothing) {
  FakeHeap fake(GetParam());
  fake.main().used(100);
  fake.seal();
  bool was_read = false;
  const HeapModel heap = fake.walk([&] {
    was_read = true;
    return StructLayouts();
  });
  EXPECT_EQ(heap.layout_source, LayoutSource::Table);
  EXPECT_FALSE(was_read);
}

TEST_P(EveryFamily, MainArena) {
  FakeHeap fake(GetParam());
  FakeArena& arena = fake.main();
  const Addr first = arena.used(24);
  const Addr gone = arena.binned(100);
  const Addr second = arena.used(1000);
  const Addr unsorted = arena.unsorted(5000);
  const Addr third = arena.used(5000);
  const Addr fast = arena.fast(40);
  const Addr also_fast = arena.fast(40);
  const Addr last = arena.used(1);
  fake.seal();
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  expect_every_byte_accounted_for(heap);
  expect_checks_pass(heap);
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(heap.allocator, "glibc");
  EXPECT_EQ(heap.layout_source, LayoutSource::Table);
  EXPECT_THAT(heap.found_by, testing::HasSubstr("libc.so.6"));
  const std::string fast_state = GetParam().arena->fastbins != 0 ? "fastbin" : "used";
  EXPECT_EQ(state_at(heap, first), "used");
  EXPECT_EQ(state_at(heap, gone), "binned");
  EXPECT_EQ(state_at(heap, second), "used");
  EXPECT_EQ(state_at(heap, unsorted), "binned");
  EXPECT_EQ(state_at(heap, third), "used");
  EXPECT_EQ(state_at(heap, fast), fast_state);
  EXPECT_EQ(state_at(heap, also_fast), fast_state);
  EXPECT_EQ(state_at(heap, last), "used");
  EXPECT_EQ(state_at(heap, fake.main().top + 16), "top");
  EXPECT_EQ(heap.block(heap.block_at(second)).size(), 1000U);
  EXPECT_EQ(heap.block(heap.block_at(last)).size(), 24U);
  ASSERT_EQ(heap.arenas.size(), 1U);
  EXPECT_TRUE(heap.arenas[0].is_main);
  EXPECT_EQ(heap.arenas[0].state, FakeHeap::kMainArena);
  EXPECT_EQ(heap.arenas[0].system_bytes, FakeHeap::kHeapSize);
}

// What glibc writes at the end of a heap depends on how many bytes were left there.
TEST_P(EveryFamily, FullHeapsEndInHeadersOnlyWhateverWasLeft) {
  for (uint64_t left = 0x20; left <= 0x80; left += 0x10) {
    FakeHeap fake(GetParam());
    fake.main().used(100);
    FakeArena& arena = fake.new_arena();
    const Addr first = arena.used(100);
    arena.new_heap(left);
    const Addr end = Addr((first.value & ~(FakeHeap::kReservation - 1)) + FakeHeap::kHeapSize);
    const Addr second = arena.used(300);
    fake.seal();
    const HeapModel heap = fake.walk();
    expect_consistent(heap);
    expect_every_byte_accounted_for(heap);
    expect_checks_pass(heap);
    EXPECT_EQ(notes_of(heap), "") << left;
    size_t used = 0;
    for (size_t i = 0; i < heap.blocks.size(); ++i) {
      const Block& block = heap.blocks[i];
      const bool in_first_heap = block.begin() >= first && block.begin() < end;
      used += in_first_heap && block.state() == BlockState::Used ? 1 : 0;
    }
    EXPECT_EQ(used, 2U) << "with " << left << " bytes left";
    EXPECT_EQ(state_at(heap, second), "used");
  }
}

// The same two words in a block that was handed out there are a block of 24 bytes.
TEST(FullHeap, ABlockOfTheArenaBeforeTheLastHeaderIsABlock) {
  FakeHeap fake(usual());
  fake.main().used(100);
  FakeArena& arena = fake.new_arena();
  const Addr first = arena.used(100);
  arena.new_heap(0x30);
  const Addr end = Addr((first.value & ~(FakeHeap::kReservation - 1)) + FakeHeap::kHeapSize);
  fake.seal();
  fake.process.poke(end - 0x30 + 8, 0x25);
  EXPECT_EQ(state_at(fake.walk(), end - 0x20), "used");
}

TEST_P(EveryFamily, OtherArenasAndTheirHeaps) {
  FakeHeap fake(GetParam());
  fake.main().used(100);
  FakeArena& second = fake.new_arena();
  const Addr in_first_heap = second.used(100);
  second.binned(2000);
  second.used(24);
  second.new_heap();
  const Addr in_second_heap = second.used(300);
  FakeArena& third = fake.new_arena();
  const Addr in_third = third.used(64);
  fake.seal();
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  expect_every_byte_accounted_for(heap);
  expect_checks_pass(heap);
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(heap.layout_source, LayoutSource::Table);
  ASSERT_EQ(heap.arenas.size(), 3U);
  EXPECT_EQ(heap.arenas[1].heaps, 2U);
  EXPECT_EQ(state_at(heap, in_first_heap), "used");
  EXPECT_EQ(state_at(heap, in_second_heap), "used");
  EXPECT_EQ(heap.block(heap.block_at(in_second_heap)).arena(), ArenaId(1));
  EXPECT_EQ(heap.block(heap.block_at(in_third)).arena(), ArenaId(2));
  EXPECT_EQ(second.begin.value % 16, 0U);
}

TEST_P(EveryFamily, ChunksWithMappingsOfTheirOwn) {
  FakeHeap fake(GetParam());
  fake.main().used(100);
  const Addr plain = fake.mmapped(200000);
  const Addr aligned = fake.mmapped(300000, 65536);
  const Addr raw = fake.raw_mapping(8 * kPage);
  const Addr behind = fake.mmapped(150000, 64);
  fake.seal();
  fake.process.poke(raw + 8, 1);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  expect_checks_pass(heap);
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(state_at(heap, plain), "used");
  EXPECT_EQ(state_at(heap, aligned), "used");
  EXPECT_EQ(aligned.value % 65536, 0U);
  EXPECT_EQ(state_at(heap, behind), "used");
  EXPECT_EQ(state_at(heap, raw), "mapping");
  EXPECT_EQ(heap.block(heap.block_at(raw)).size(), 8 * kPage);
  EXPECT_GE(heap.block(heap.block_at(plain)).size(), 200000U);
  EXPECT_EQ(heap.totals.mappings.blocks, 1U);
  EXPECT_EQ(heap.totals.used.blocks, 4U);
}

TEST_P(EveryFamilyWithTcache, TcachesOfEveryThread) {
  FakeHeap fake(GetParam());
  const Addr kept = fake.main().used(100);
  const Addr first = fake.tcache(fake.main(), 0, {24, 24, 24, 104, 1032});
  const Addr second = fake.tcache(fake.new_arena(), 1, {40, 56, 56});
  const Addr shared =
      fake.tcache(fake.main(), 2, {});  // a thread that shares an arena, nothing cached yet
  const Addr live = fake.main().used(24);
  fake.seal();
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  expect_every_byte_accounted_for(heap);
  expect_checks_pass(heap);
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(heap.layout_source, LayoutSource::Table);
  for (const Addr block : fake.cached) EXPECT_EQ(state_at(heap, block), "tcache") << hex(block);
  for (const Addr tcache : {first, second, shared}) {
    EXPECT_EQ(state_at(heap, tcache), "bookkeeping");
    EXPECT_TRUE(std::any_of(heap.allocator_state.begin(), heap.allocator_state.end(),
                            [&](AddrRange r) { return r.contains(tcache); }));
  }
  EXPECT_EQ(state_at(heap, kept), "used");
  EXPECT_EQ(state_at(heap, live), "used");
  EXPECT_EQ(heap.totals.free.blocks, fake.cached.size());
}

TEST_P(EveryFamilyWithTcache, TcacheOfAThreadThatIsGone) {
  FakeHeap fake(GetParam());
  fake.tcache(fake.main(), 0, {24, 24});
  fake.tcache(fake.main(), 1, {40, 40});
  fake.seal();
  // As after fork: the block is there, the thread's own word is not.
  fake.process.poke(Addr(0x7ffe00000000) + 0x100000 + 0x10000 - FakeProcess::kDescriptorSize -
                        FakeHeap::kTlsOffset,
                    0);
  const HeapModel heap = fake.walk();
  for (const Addr block : fake.cached) EXPECT_EQ(state_at(heap, block), "tcache") << hex(block);
  expect_checks_pass(heap);
}

TEST_P(EveryFamilyWithTcache, FreedTcacheIsNotBelieved) {
  FakeHeap fake(GetParam());
  const Addr tcache = fake.tcache(fake.main(), 0, {24, 24, 40});
  fake.main().used(24);
  fake.seal();
  // Freed, with its contents still there, and its blocks in use again.
  const uint64_t size = fake.process.word(tcache - 8) & ~uint64_t{7};
  const Addr next = tcache - 16 + size;
  fake.process.poke(next, size);
  fake.process.poke(next + 8, fake.process.word(next + 8) & ~uint64_t{1});
  const Addr unsorted = FakeHeap::kMainArena + GetParam().arena->bins - 16;
  fake.process.poke(tcache, unsorted);
  fake.process.poke(tcache + 8, unsorted);
  fake.process.poke(unsorted + 16, tcache - 16);
  fake.process.poke(unsorted + 24, tcache - 16);
  const HeapModel heap = fake.walk();
  EXPECT_EQ(state_at(heap, tcache), "binned");
  for (const Addr block : fake.cached) EXPECT_EQ(state_at(heap, block), "used") << hex(block);
}

TEST_P(EveryFamily, MallocNeverUsed) {
  FakeHeap fake(GetParam());
  fake.process.add_first_thread();
  const glibc::ArenaLayout& layout = *GetParam().arena;
  const Addr arena = FakeHeap::kMainArena;
  fake.process.poke(arena + layout.next(), arena);
  if (layout.has_attached) fake.process.poke(arena + layout.attached(), 1);
  if (std::string(GetParam().versions) >= "2.42") {
    for (size_t i = 0; i < 127; ++i) {
      const Addr header = arena + layout.bins + 16 * i - 16;
      fake.process.poke(header + 16, header);
      fake.process.poke(header + 24, header);
    }
    fake.process.poke(arena + layout.top(), arena + layout.bins - 16);
  }
  bool was_read = false;
  const HeapModel heap = fake.walk([&] {
    was_read = true;
    return StructLayouts();
  });
  EXPECT_FALSE(was_read) << "DWARF, for nothing";
  expect_consistent(heap);
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(heap.arenas.size(), 1U);
  EXPECT_EQ(heap.totals.used.blocks, 0U);
  EXPECT_TRUE(heap.ranges.empty());
}

TEST_P(EveryFamily, SomebodyElseMovedTheBreak) {
  FakeHeap fake(GetParam());
  const Addr before = fake.main().used(100);
  fake.main().move_break(0x1230);
  const Addr after = fake.main().used(200);
  fake.main().binned(300);
  fake.main().used(24);
  fake.seal();
  for (uint64_t i = 0; i < 0x1230; i += 8)
    fake.process.poke(FakeHeap::kBreak + FakeHeap::kHeapSize + i, i);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  expect_checks_pass(heap);
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(heap.ranges.size(), 2U);
  EXPECT_EQ(state_at(heap, before), "used");
  EXPECT_EQ(state_at(heap, after), "used");
  EXPECT_TRUE(heap.damaged.empty());
}

// The loader of 2.31 copies GLIBC_TUNABLES to the break before malloc first asks for it.
TEST_P(EveryFamily, BreakThatIsNotAligned) {
  FakeHeap fake(GetParam());
  fake.process.map(FakeHeap::kBreak - kPage, kPage);
  const Addr block = fake.main().used(100);
  fake.main().system_mem += 7;
  fake.seal();
  fake.process.poke(FakeHeap::kParams + GetParam().params->sbrk_base, FakeHeap::kBreak - 7);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  expect_checks_pass(heap);
  EXPECT_EQ(notes_of(heap), "");
  EXPECT_EQ(state_at(heap, block), "used");
  EXPECT_EQ(heap.totals.mappings.blocks, 0U);
}

TEST(WalkHeap, BreaksTheRingWithoutLosingArenas) {
  FakeHeap fake(glibc::families()[7]);
  fake.main().used(100);
  const Addr other = fake.new_arena().used(100);
  const Addr third = fake.new_arena().used(100);
  fake.seal();
  fake.process.poke(FakeHeap::kMainArena + fake.family.arena->next(), 0x4141414141414141);
  const HeapModel heap = fake.walk();
  EXPECT_EQ(heap.arenas.size(), 3U);
  EXPECT_EQ(state_at(heap, other), "used");
  EXPECT_EQ(state_at(heap, third), "used");
  EXPECT_FALSE(check_named(heap, "arena_ring").ok);
  EXPECT_THAT(notes_of(heap, NoteKind::Allocator), testing::HasSubstr("does not lead back"));
}

// A damaged core may have memory anywhere.
TEST(WalkHeap, MemoryBeyondUserSpaceIsNoBlock) {
  FakeHeap fake(glibc::families().back());
  const Addr kept = fake.main().used(100);
  const Addr inside(0x7ffffff00000);
  const Addr beyond(0x900000000000);
  for (const Addr at : {inside, beyond}) {
    fake.process.map(at, 4 * kPage);
    fake.process.poke(at + 8, 1);
  }
  fake.seal();
  const HeapModel heap = fake.walk();
  EXPECT_EQ(state_at(heap, kept), "used");
  EXPECT_TRUE(heap.block_at(inside).valid());
  EXPECT_FALSE(heap.block_at(beyond).valid());
  for (size_t i = 1; i < heap.blocks.size(); ++i)
    EXPECT_LE(heap.blocks[i - 1].range().end(), heap.blocks[i].begin());
}

TEST(WalkHeap, SaysWhenThereIsNoArena) {
  FakeProcess process;
  process.add_module("/lib/libc.so.6", FakeHeap::kLibrary, 0x4000);
  process.add_first_thread();
  const MemoryImage image = process.build();
  const RuntimeFacts runtime = find_runtime_facts(image, Symbols());
  EXPECT_THROW((void)walk_heap(image, Symbols(), runtime), Error);
}

TEST(WalkHeap, CountsWhatTrimmingWouldGiveBack) {
  FakeHeap fake(glibc::families()[7]);
  fake.main().used(24);
  const Addr gone = fake.main().binned(5 * 4096);
  fake.main().used(24);
  fake.seal();
  const Addr inside = (gone + 32).align_up(4096);
  Residency residency;
  residency.resident = {AddrRange::sized(inside, 2 * 4096)};
  fake.process.set_residency(residency);
  const HeapModel heap = fake.walk();
  ASSERT_TRUE(heap.totals.trimmable_bytes.has_value());
  EXPECT_EQ(*heap.totals.trimmable_bytes, 2U * 4096);
}

}  // namespace
}  // namespace heapscan

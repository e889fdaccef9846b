#include "heapscan/runtime/runtime_facts.h"

#include <gmock/gmock.h>

#include <random>

#include "heapscan/symbols/symbols.h"
#include "support/fake_process.h"

namespace heapscan {
namespace {

using Fate = ThreadArea::Fate;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr Addr kStackA{0x7f5000000000};
constexpr Addr kStackB{0x7f5100000000};
constexpr Addr kStackC{0x7f5200000000};
constexpr uint64_t kStackSize = 0x10000;
constexpr AddrRange kMainStack =
    AddrRange::sized(FakeProcess::kFirstStack, FakeProcess::kFirstStackSize);

AddrRange without_guard(Addr begin) { return {begin + kPage, begin + kStackSize}; }

RuntimeFacts facts_of(FakeProcess& process) {
  return find_runtime_facts(process.build(), Symbols());
}

const ThreadArea* area_at(const RuntimeFacts& areas, Addr descriptor) {
  for (const ThreadArea& area : areas.threads) {
    if (area.descriptor == descriptor) return &area;
  }
  return nullptr;
}

TEST(ThreadAreas, FirstThreadHasTheKernelsStackAndStorageElsewhere) {
  FakeProcess process;
  process.module(process.program).tls = TlsSegment{0x130, 0x40};
  process.add_first_thread(7);
  const RuntimeFacts found = facts_of(process);
  ASSERT_THAT(found.threads, SizeIs(1));
  const ThreadArea& area = found.threads[0];
  EXPECT_EQ(area.fate, Fate::Live);
  EXPECT_EQ(area.tid, 7);
  EXPECT_EQ(area.descriptor, FakeProcess::kFirstDescriptor);
  EXPECT_EQ(area.stack, kMainStack);
  EXPECT_EQ(area.static_tls,
            AddrRange(FakeProcess::kFirstDescriptor - 0x140, FakeProcess::kFirstDescriptor));
  EXPECT_TRUE(area.argument.is_null());
  EXPECT_THAT(found.loader_memory,
              ElementsAre(AddrRange::sized(FakeProcess::kFirstStorage, 0x2000)));
}

TEST(ThreadAreas, StartedThreadHasItsStackWithoutTheGuard) {
  FakeProcess process;
  process.add_first_thread();
  const Addr worker = process.add_stack(kStackA, kStackSize, 12);
  process.link(FakeProcess::kStackUsed, {worker});
  process.add_thread(12, worker, worker - 0x800);
  const RuntimeFacts found = facts_of(process);
  ASSERT_THAT(found.threads, SizeIs(2));
  EXPECT_EQ(found.threads[1].stack, without_guard(kStackA));
  EXPECT_EQ(found.threads[1].descriptor_size, FakeProcess::kDescriptorSize);
  EXPECT_EQ(found.threads[1].argument, worker + 0x640);
  EXPECT_EQ(found.threads[1].thread, 1u);
  EXPECT_THAT(found.notes, IsEmpty());
}

TEST(ThreadAreas, StacksThatTheKernelJoinedAreToldApartByTheirDescriptors) {
  FakeProcess process;
  process.add_first_thread();
  process.map(kStackA, 2 * kStackSize);
  const Addr low = kStackA + kStackSize - FakeProcess::kDescriptorSize;
  const Addr high = low + kStackSize;
  process.add_descriptor(low, AddrRange::sized(kStackA, kStackSize), kPage, 12);
  process.add_descriptor(high, AddrRange::sized(kStackA + kStackSize, kStackSize), kPage, 13);
  process.link(FakeProcess::kStackUsed, {low, high});
  process.add_thread(12, low, low - 0x800);
  process.add_thread(13, high, high - 0x800);
  const RuntimeFacts found = facts_of(process);
  EXPECT_EQ(area_at(found, low)->stack, without_guard(kStackA));
  EXPECT_EQ(area_at(found, high)->stack, without_guard(kStackA + kStackSize));
}

TEST(ThreadAreas, ListsTellExitedFromCached) {
  FakeProcess process;
  process.add_first_thread();
  const Addr running = process.add_stack(kStackA, kStackSize, 12);
  const Addr exited = process.add_stack(kStackB, kStackSize, 0);
  const Addr cached = process.add_stack(kStackC, kStackSize, 0);
  process.link(FakeProcess::kStackUsed, {running, exited});
  process.link(FakeProcess::kStackCache, {cached});
  process.add_thread(12, running, running - 0x800);
  const RuntimeFacts found = facts_of(process);
  ASSERT_THAT(found.threads, SizeIs(4));
  EXPECT_EQ(area_at(found, exited)->fate, Fate::Exited);
  EXPECT_EQ(area_at(found, exited)->result, exited + 0x628);
  EXPECT_EQ(area_at(found, cached)->fate, Fate::Cached);
  EXPECT_TRUE(area_at(found, cached)->result.is_null());
}

TEST(ThreadAreas, AnEndedThreadStillHasItsFunctionAndItsStack) {
  FakeProcess process;
  process.add_first_thread();
  const Addr exited = process.add_stack(kStackB, kStackSize, 0);
  const Addr other = process.add_stack(kStackC, kStackSize, 0);
  process.link(FakeProcess::kStackUsed, {exited, other});
  process.poke(other + process.members.start_routine, 0x4141414141414141);
  const RuntimeFacts found = facts_of(process);
  EXPECT_EQ(area_at(found, exited)->start, FakeProcess::kCode);
  EXPECT_EQ(area_at(found, exited)->mapping_bytes, kStackSize);
  EXPECT_TRUE(area_at(found, other)->start.is_null());
  EXPECT_EQ(found.threads.front().mapping_bytes, 0U) << "the kernel's stack";
}

TEST(ThreadAreas, ListsWithoutRunningThreadsAreKnownByTheirPlace) {
  FakeProcess process;
  process.add_first_thread();
  const Addr exited = process.add_stack(kStackB, kStackSize, 0);
  const Addr cached = process.add_stack(kStackC, kStackSize, 0);
  process.link(FakeProcess::kStackUsed, {exited});
  process.link(FakeProcess::kStackCache, {cached});
  const RuntimeFacts found = facts_of(process);
  EXPECT_EQ(area_at(found, exited)->fate, Fate::Exited);
  EXPECT_EQ(area_at(found, cached)->fate, Fate::Cached);
}

TEST(ThreadAreas, SymbolsNameListsWhereverTheyAre) {
  FakeProcess process;
  process.add_first_thread();
  const Addr exited = process.add_stack(kStackB, kStackSize, 0);
  const Addr cached = process.add_stack(kStackC, kStackSize, 0);
  const ModuleId threads = process.add_module("/lib/libpthread.so.0", Addr(0x7ffff7e00000), 0x2000);
  const Addr used_head(0x7ffff7e01100);
  const Addr cache_head(0x7ffff7e01200);
  process.link(used_head, {exited});
  process.link(cache_head, {cached});
  const MemoryImage image = process.build();
  SymbolsBuilder builder(image);
  builder.add(threads, {.name = "stack_used", .address = used_head, .size = 16});
  builder.add(threads, {.name = "stack_cache", .address = cache_head, .size = 16});
  const RuntimeFacts found = find_runtime_facts(image, builder.freeze());
  EXPECT_EQ(area_at(found, exited)->fate, Fate::Exited);
  EXPECT_EQ(area_at(found, cached)->fate, Fate::Cached);
}

TEST(ThreadAreas, ThreadInheritedOverForkIsCached) {
  FakeProcess process;
  process.add_first_thread();
  const Addr parents = process.add_stack(kStackB, kStackSize, 4711);
  process.link(FakeProcess::kStackUsed, {parents});
  const RuntimeFacts found = facts_of(process);
  EXPECT_EQ(area_at(found, parents)->fate, Fate::Cached);
  ASSERT_THAT(found.notes, SizeIs(1));
  EXPECT_THAT(found.notes[0].text, testing::HasSubstr("1 thread that this process does not have"));
}

TEST(ThreadAreas, Since243TheJoinStateTellsWhoHasExited) {
  FakeProcess process(FakeProcess::k243);
  process.add_first_thread();
  process.poke_half(FakeProcess::kFirstDescriptor + process.members.joiner, 2);
  const Addr running = process.add_stack(kStackA, kStackSize, 12);
  const Addr exited = process.add_stack(kStackB, kStackSize, 13);  // its tid stays
  process.poke_half(running + process.members.joiner, 2);
  process.link(FakeProcess::kStackUsed, {running, exited});
  process.add_thread(12, running, running - 0x800);
  const RuntimeFacts found = facts_of(process);
  EXPECT_EQ(area_at(found, exited)->fate, Fate::Exited);
  EXPECT_EQ(area_at(found, exited)->result, exited + 0x630);
  EXPECT_EQ(area_at(found, running)->argument, running + 0x648);
}

TEST(ThreadAreas, WithoutListsTheShapeTells) {
  FakeProcess process;
  process.add_first_thread();
  process.link(FakeProcess::kStackUser, {});
  const Addr exited = process.add_stack(kStackA, kStackSize, 0);
  const Addr joined = process.add_stack(kStackB, kStackSize, -1);
  const Addr detached = process.add_stack(kStackC, kStackSize, 0);
  process.poke(detached + process.members.joiner, detached);
  const RuntimeFacts found = facts_of(process);
  ASSERT_THAT(found.threads, SizeIs(4));
  EXPECT_EQ(area_at(found, exited)->fate, Fate::Exited);
  EXPECT_EQ(area_at(found, joined)->fate, Fate::Cached);
  EXPECT_EQ(area_at(found, detached)->fate, Fate::Cached);
  EXPECT_EQ(area_at(found, joined)->stack, without_guard(kStackB));
}

TEST(ThreadAreas, ThreadWithoutRegistersIsKnownByItsTid) {
  FakeProcess process;
  process.add_first_thread();
  const Addr worker = process.add_stack(kStackA, kStackSize, 12);
  process.link(FakeProcess::kStackUsed, {worker});
  process.add_thread(12, Addr(), Addr()).has_registers = false;
  const RuntimeFacts found = facts_of(process);
  ASSERT_THAT(found.threads, SizeIs(2));
  EXPECT_EQ(found.threads[1].fate, Fate::Live);
  EXPECT_EQ(found.threads[1].stack, without_guard(kStackA));
}

TEST(ThreadAreas, SharedThreadPointerBelongsToTheThreadOnItsStack) {
  FakeProcess process;
  process.add_first_thread();
  const Addr worker = process.add_stack(kStackA, kStackSize, 12);
  process.link(FakeProcess::kStackUsed, {worker});
  process.map(kStackB, kStackSize);
  process.add_thread(99, worker, kStackB + 0x8000);  // a raw clone()
  process.add_thread(12, worker, worker - 0x800);
  const RuntimeFacts found = facts_of(process);
  ASSERT_THAT(found.threads, SizeIs(3));
  EXPECT_TRUE(found.threads[1].descriptor.is_null());
  EXPECT_TRUE(found.threads[1].stack.empty());
  EXPECT_EQ(found.threads[2].descriptor, worker);
}

TEST(ThreadAreas, FirstStackWithoutItsThreadIsNobodysButKnown) {
  FakeProcess process;
  const Addr worker = process.add_stack(kStackA, kStackSize, 12);
  process.link(FakeProcess::kStackUsed, {worker});
  process.add_thread(12, worker, worker - 0x800);
  const RuntimeFacts found = facts_of(process);
  ASSERT_THAT(found.threads, SizeIs(2));
  EXPECT_EQ(found.threads[1].fate, Fate::Exited);
  EXPECT_EQ(found.threads[1].stack, kMainStack);
  EXPECT_TRUE(found.threads[1].descriptor.is_null());
}

TEST(ThreadAreas, AbsurdStackIsNotBelieved) {
  FakeProcess process;
  process.add_first_thread();
  const Addr worker = process.add_stack(kStackA, kStackSize, 12);
  process.poke(worker + 0x690, kStackC);
  process.add_thread(12, worker, worker - 0x800);
  EXPECT_TRUE(area_at(facts_of(process), worker)->stack.empty());
}

TEST(ThreadAreas, StackThatReachesTooFarIsCutToWhatIsThere) {
  FakeProcess process;
  process.add_first_thread();
  const Addr worker = process.add_stack(kStackA, kStackSize, 12);
  process.poke(worker + 0x690, Addr(0x7f4000000000));
  process.poke(worker + 0x698, uint64_t{1} << 39);
  process.add_thread(12, worker, worker - 0x800);
  EXPECT_EQ(area_at(facts_of(process), worker)->stack, AddrRange::sized(kStackA, kStackSize));
}

TEST(ThreadAreas, OfTwoClaimsToOneStackTheLiveOneIsBelieved) {
  FakeProcess process;
  process.add_first_thread();
  const Addr worker = process.add_stack(kStackA, kStackSize, 12);
  const Addr liar = kStackA + 0x4000;
  process.add_descriptor(liar, AddrRange::sized(kStackA, kStackSize), 0, 0);
  process.link(FakeProcess::kStackUsed, {worker, liar});
  process.add_thread(12, worker, worker - 0x800);
  const RuntimeFacts found = facts_of(process);
  EXPECT_EQ(area_at(found, worker)->stack, without_guard(kStackA));
  EXPECT_TRUE(area_at(found, liar)->stack.empty());
}

TEST(ThreadAreas, RingThatNeverReturnsToItsHeadEnds) {
  FakeProcess process;
  process.add_first_thread();
  const Addr a = process.add_stack(kStackA, kStackSize, 0);
  const Addr b = process.add_stack(kStackB, kStackSize, 0);
  process.link(FakeProcess::kStackUsed, {a, b});
  process.poke(b + 0x2c0, a + 0x2c0);
  EXPECT_THAT(facts_of(process).threads, SizeIs(3));
}

TEST(LoaderMemory, FollowsTheLoadersPointersAndLeavesNeighboursAlone) {
  FakeProcess process;
  process.add_first_thread();
  const Addr begin(0x7ffff7a00000);
  process.map(begin, 0x20000);
  const Addr link_map = begin + 0x1e040;
  process.poke(FakeProcess::kLoaderData, link_map);
  process.poke(link_map + 8, begin + 0x1d010);  // a name, on the page below
  EXPECT_THAT(facts_of(process).loader_memory,
              Contains(AddrRange(begin + 0x1d000, begin + 0x20000)));
}

// What the loader keeps of its own is where its memory ends: the program may have mapped something
// there.
TEST(LoaderMemory, MemoryBehindItsEndIsNotTheLoaders) {
  FakeProcess process;
  process.add_first_thread();
  const Addr begin(0x7ffff7a00000);
  process.map(begin, 0x10000);
  process.poke(FakeProcess::kLoaderData, begin + 0x10);
  process.poke(FakeProcess::kLoaderData + 8, begin + 0x2000);
  process.poke(begin + 0x2010, begin + 0x8010);
  EXPECT_THAT(facts_of(process).loader_memory, Contains(AddrRange(begin, begin + 0x1000)));
}

TEST(LoaderMemory, ObjectAtTheStartOfAPageSaysNothingAboutThePageBelow) {
  FakeProcess process;
  process.add_first_thread();
  const Addr begin(0x7ffff7a00000);
  process.map(begin, 0x10000);
  process.poke(FakeProcess::kLoaderData, begin + 0xf000);
  EXPECT_THAT(facts_of(process).loader_memory,
              Contains(AddrRange(begin + 0xf000, begin + 0x10000)));
}

// The loader reads a file, unmaps it and keeps where it was; the program maps something there.
TEST(LoaderMemory, WhatTheLoaderHasUnmappedIsTheProgramsNow) {
  FakeProcess process;
  process.add_first_thread();
  const Addr mapping(0x7f6600000000);
  process.map(mapping, 0x4000);
  process.poke(FakeProcess::kLoaderData, mapping);
  process.poke(mapping + 0x20, mapping + 0x2010);
  EXPECT_THAT(facts_of(process).loader_memory,
              ElementsAre(AddrRange::sized(FakeProcess::kFirstStorage, 0x2000)));
}

TEST(LoaderMemory, APageOfTheLoadersNamesTheLoader) {
  for (const Addr named : {FakeProcess::kLoaderData + 0x40, Addr(0x7f6600003010)}) {
    FakeProcess process;
    process.add_first_thread();
    const Addr mapping(0x7f6600000000);
    process.map(mapping, 0x4000);
    process.poke(FakeProcess::kLoaderData, mapping);
    process.poke(FakeProcess::kLoaderData + 8, Addr(0x7f6600003010));
    process.poke(mapping + 0x20, named);
    EXPECT_THAT(facts_of(process).loader_memory, Contains(AddrRange::sized(mapping, 0x4000)));
  }
}

TEST(LoaderMemory, DoesNotFollowBlocksOfMalloc) {
  FakeProcess process;
  process.add_first_thread();
  const Addr heap(0x7ffff7a00000);
  process.map(heap, 0x20000);
  process.poke(heap + 0x1008, 0x4c1);  // a chunk, and the next
  process.poke(heap + 0x14c8, 0x1eb39);
  process.poke(FakeProcess::kLoaderData, heap + 0x1010);
  EXPECT_THAT(facts_of(process).loader_memory,
              ElementsAre(AddrRange::sized(FakeProcess::kFirstStorage, 0x2000)));
}

TEST(LoaderMemory, ProgramsPointersInTheFirstThreadsStorageAreNotFollowed) {
  FakeProcess process;
  process.module(process.program).tls = TlsSegment{0x40, 8};
  process.add_first_thread();
  const Addr mapping(0x7f6600000000);
  process.map(mapping, 0x1000);
  process.poke(FakeProcess::kFirstDescriptor - 0x10, mapping);
  EXPECT_THAT(facts_of(process).loader_memory,
              ElementsAre(AddrRange::sized(FakeProcess::kFirstStorage, 0x2000)));
}

// The loader keeps symbols that must be unique in a table of {hash, name, symbol, link map}; one
// that was outgrown before malloc existed is named by nothing.
constexpr Addr kAlone{0x7f6600000000};

void put_unique_symbols(FakeProcess& process, Addr at, int rows, Addr link_map) {
  for (int row = 0; row < rows; ++row, at = at + 32) {
    process.poke(at, 0x2b0f87d7 + static_cast<uint64_t>(row));
    process.poke(at + 8, FakeProcess::kLoader + 0x100 + static_cast<uint64_t>(row));
    process.poke(at + 16, FakeProcess::kLoader + 0x200);
    process.poke(at + 24, link_map);
  }
}

TEST(LoaderMemory, OutgrownTableInAMappingOfItsOwn) {
  FakeProcess process;
  process.add_first_thread();
  const std::vector<Addr> maps = process.link_modules({process.program, process.loader});
  process.map(kAlone, 0x2000);
  put_unique_symbols(process, kAlone, 23, maps[1]);
  EXPECT_THAT(facts_of(process).loader_memory, Contains(AddrRange::sized(kAlone, 0x2000)));
}

TEST(LoaderMemory, HandlesOfLibrariesAreNoSuchTable) {
  FakeProcess process;
  process.add_first_thread();
  const std::vector<Addr> maps = process.link_modules({process.program, process.loader});
  process.map(kAlone, 0x2000);
  for (uint64_t at = 0; at < 0x1000; at += 8) process.poke(kAlone + at, maps[1]);
  EXPECT_THAT(facts_of(process).loader_memory, Not(Contains(AddrRange::sized(kAlone, 0x2000))));
}

TEST(LoaderMemory, TableOfAFewSymbolsMayBeTheProgramsOwn) {
  FakeProcess process;
  process.add_first_thread();
  const std::vector<Addr> maps = process.link_modules({process.program, process.loader});
  process.map(kAlone, 0x2000);
  put_unique_symbols(process, kAlone, 7, maps[1]);
  EXPECT_THAT(facts_of(process).loader_memory, Not(Contains(AddrRange::sized(kAlone, 0x2000))));
}

TEST(LoaderMemory, StacksAreNeverTheLoaders) {
  FakeProcess process;
  process.add_first_thread();
  const Addr cached = process.add_stack(kStackA, kStackSize, 0);
  process.link(FakeProcess::kStackCache, {cached});
  EXPECT_THAT(facts_of(process).loader_memory,
              ElementsAre(AddrRange::sized(FakeProcess::kFirstStorage, 0x2000)));
}

TEST(ThreadAreas, ModulesWithoutMemory) {
  ImageBuilder builder;
  Module module;
  module.path = "/bin/program";
  module.is_executable = true;
  module.segments = {{AddrRange::sized(FakeProcess::kProgram, 0x1000), true, false}};
  builder.add_module(module);
  EXPECT_THAT(find_runtime_facts(builder.freeze(), Symbols()).threads, IsEmpty());
}

TEST(ThreadAreas, NoThreadsNoAreas) {
  FakeProcess process;
  EXPECT_THAT(facts_of(process).threads, IsEmpty());
}

// Descriptors, heads and stacks with words of each other in random places: whatever comes out, it
// comes out, and stacks do not overlap.
TEST(ThreadAreas, SurvivesAnyWords) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    FakeProcess process;
    process.add_first_thread();
    std::vector<Addr> interesting = {FakeProcess::kStackUsed,
                                     FakeProcess::kStackUser,
                                     FakeProcess::kFirstDescriptor,
                                     Addr(0),
                                     Addr(~uint64_t{0}),
                                     FakeProcess::kCode,
                                     kStackA,
                                     kStackB};
    for (const Addr stack : {kStackA, kStackB, kStackC}) {
      const Addr descriptor = process.add_stack(stack, kStackSize, static_cast<int>(random() % 3));
      interesting.push_back(descriptor);
      interesting.push_back(descriptor + 0x2c0);
      process.add_thread(static_cast<int>(random() % 3), descriptor, descriptor - 0x800);
    }
    for (int i = 0; i < 200; ++i) {
      const Addr base = interesting[random() % interesting.size()];
      const Addr at = base.align_down(8) + random() % 0x900 / 8 * 8;
      const bool mapped = FakeProcess::kLoaderData <= at && at < FakeProcess::kLoaderData + 0xf00;
      const bool on_stack = AddrRange::sized(kStackA, kStackSize - 8).contains(at) ||
                            AddrRange::sized(kStackB, kStackSize - 8).contains(at);
      if (mapped || on_stack)
        process.poke(at, interesting[random() % interesting.size()] + random() % 3 * 8);
    }
    RuntimeFacts found = facts_of(process);
    std::vector<AddrRange> stacks;
    for (const ThreadArea& area : found.threads) {
      if (!area.stack.empty()) stacks.push_back(area.stack);
    }
    std::sort(stacks.begin(), stacks.end());
    for (size_t i = 1; i < stacks.size(); ++i) EXPECT_FALSE(stacks[i].overlaps(stacks[i - 1]));
  }
}

}  // namespace
}  // namespace heapscan

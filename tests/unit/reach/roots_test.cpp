#include "heapscan/reach/roots.h"

#include <gmock/gmock.h>

#include <cstring>

#include "support/fake_process.h"

namespace heapscan {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr Addr kOther{0x7f6600000000};
constexpr Addr kStack{0x7f5000000000};
constexpr uint64_t kStackSize = 0x10000;
constexpr AddrRange kMainStack =
    AddrRange::sized(FakeProcess::kFirstStack, FakeProcess::kFirstStackSize);

// A process with one thread, and a heap model that only says what the test tells it.
struct World {
  FakeProcess process;
  RuntimeFacts runtime;
  HeapModel heap;

  ThreadArea& add_live(size_t thread, AddrRange stack, Addr descriptor) {
    ThreadArea area;
    area.fate = ThreadArea::Fate::Live;
    area.thread = thread;
    area.tid = static_cast<int>(100 + thread);
    area.stack = stack;
    area.descriptor = descriptor;
    area.descriptor_size = descriptor.is_null() ? 0 : FakeProcess::kDescriptorSize;
    if (!descriptor.is_null()) area.static_tls = {descriptor - 0x40, descriptor};
    runtime.threads.push_back(area);
    return runtime.threads.back();
  }
  void add_blocks(std::initializer_list<Block> blocks) {
    heap.blocks = GrowingArray<Block>(blocks.size());
    for (const Block& block : blocks) heap.blocks.push_back(block);
    heap.index = BlockIndex(heap.blocks.rows(), {});
  }
  Roots roots() { return find_roots(process.build(), runtime, heap); }
};

std::vector<AddrRange> ranges(const Roots& roots, RootKind kind) {
  std::vector<AddrRange> found;
  for (const RootRange& root : roots.ranges) {
    if (root.kind == kind) found.push_back(root.range);
  }
  return found;
}

std::vector<uint64_t> words(const Roots& roots, RootKind kind) {
  std::vector<uint64_t> found;
  for (const RootWord& word : roots.words) {
    if (word.kind == kind) found.push_back(word.value);
  }
  return found;
}

void expect_disjoint(const Roots& roots) {
  Addr end;
  for (const RootRange& root : roots.ranges) {
    if (strength_of(root.kind) == RootStrength::Diagnostic) continue;
    EXPECT_GE(root.range.begin(), end);
    EXPECT_TRUE(root.range.begin().is_aligned(8));
    EXPECT_TRUE(root.range.end().is_aligned(8));
    EXPECT_FALSE(root.range.empty());
    end = root.range.end();
  }
}

TEST(Roots, ModuleDataReachesToTheEndOfItsLastPageWithoutAllocatorState) {
  World world;
  Module& program = world.process.module(world.process.program);
  program.segments[1].range = {FakeProcess::kProgramData + 0x10, FakeProcess::kProgramData + 0x804};
  world.heap.allocator_state = {AddrRange::sized(FakeProcess::kProgramData + 0x100, 0x80)};
  const Roots roots = world.roots();
  const std::vector<AddrRange> data = ranges(roots, RootKind::ModuleData);
  EXPECT_THAT(data, Contains(AddrRange(FakeProcess::kProgramData + 0x10,
                                       FakeProcess::kProgramData + 0x100)));
  EXPECT_THAT(data, Contains(AddrRange(FakeProcess::kProgramData + 0x180,
                                       FakeProcess::kProgramData + kPage)));
  expect_disjoint(roots);
}

TEST(Roots, ReadOnlyAfterRelocationIsModuleData) {
  World world;
  world.process.map(FakeProcess::kProgramData, kPage).perms = {.read = true};
  EXPECT_THAT(ranges(world.roots(), RootKind::ModuleData),
              Contains(AddrRange::sized(FakeProcess::kProgramData, kPage)));
}

TEST(Roots, StackIsAliveFromTheRedZoneUp) {
  World world;
  const Addr sp = world.process.add_first_thread().sp();
  world.add_live(0, kMainStack, FakeProcess::kFirstDescriptor);
  const Roots roots = world.roots();
  EXPECT_THAT(ranges(roots, RootKind::Stack), ElementsAre(AddrRange(sp - 128, kMainStack.end())));
  EXPECT_THAT(ranges(roots, RootKind::DeadStack),
              ElementsAre(AddrRange(kMainStack.begin(), sp - 128)));
  for (const AddrRange& weak : ranges(roots, RootKind::UnknownMemory))
    EXPECT_FALSE(weak.overlaps(kMainStack));
  expect_disjoint(roots);
}

TEST(Roots, StorageIsThreadLocalButForTheArgumentAndTheStaleResult) {
  World world;
  const Addr descriptor = world.process.add_stack(kStack, kStackSize, 100);
  world.process.poke(descriptor + 0x640, 0x5000);
  world.process.poke(descriptor + 0x628, 0x6000);
  world.process.add_thread(100, descriptor, descriptor - 0x800);
  ThreadArea& area = world.add_live(0, AddrRange::sized(kStack, kStackSize), descriptor);
  area.argument = descriptor + 0x640;
  area.result = descriptor + 0x628;
  const Roots roots = world.roots();
  EXPECT_THAT(ranges(roots, RootKind::ThreadLocal),
              ElementsAre(AddrRange(descriptor - 0x40, descriptor + 0x628),
                          AddrRange(descriptor + 0x630, descriptor + 0x640),
                          AddrRange(descriptor + 0x648, kStack + kStackSize)));
  EXPECT_THAT(words(roots, RootKind::ThreadArgument), ElementsAre(0x5000, 0x6000));
  expect_disjoint(roots);
}

TEST(Roots, ThreadWithoutRegistersKeepsItsWholeStack) {
  World world;
  world.process.add_first_thread().has_registers = false;
  world.add_live(0, kMainStack, Addr());
  const Roots roots = world.roots();
  EXPECT_THAT(ranges(roots, RootKind::Stack), ElementsAre(kMainStack));
  EXPECT_THAT(roots.notes, Contains(Field(&Note::kind, NoteKind::Thread)));
}

TEST(Roots, ExitedThreadLeavesItsResultAndNothingElse) {
  World world;
  const Addr descriptor = world.process.add_stack(kStack, kStackSize, 0);
  world.process.poke(descriptor + 0x628, 0x5000);
  world.process.poke(descriptor + 8, 0x60010);
  ThreadArea area;
  area.fate = ThreadArea::Fate::Exited;
  area.descriptor = descriptor;
  area.descriptor_size = FakeProcess::kDescriptorSize;
  area.stack = AddrRange::sized(kStack, kStackSize);
  area.result = descriptor + 0x628;
  world.runtime.threads = {area};
  const Roots roots = world.roots();
  EXPECT_THAT(words(roots, RootKind::ThreadResult), ElementsAre(0x5000));
  EXPECT_THAT(words(roots, RootKind::Dtv), ElementsAre(0x60000));
  EXPECT_THAT(ranges(roots, RootKind::CachedStack), ElementsAre(area.stack));
  for (const RootRange& root : roots.ranges) {
    EXPECT_TRUE(root.kind == RootKind::CachedStack || !root.range.overlaps(area.stack));
  }
}

TEST(Roots, CachedStackKeepsOnlyItsVector) {
  World world;
  const Addr descriptor = world.process.add_stack(kStack, kStackSize, 0);
  world.process.poke(descriptor + 8, 0x60010);
  ThreadArea area;
  area.fate = ThreadArea::Fate::Cached;
  area.descriptor = descriptor;
  area.stack = AddrRange::sized(kStack, kStackSize);
  world.runtime.threads = {area};
  const Roots roots = world.roots();
  EXPECT_THAT(roots.words, SizeIs(1));
  EXPECT_TRUE(roots.words[0].is_start);
}

TEST(Roots, VectorAndItsBlocksAreStarts) {
  World world;
  world.process.add_first_thread();
  const Addr dtv = FakeProcess::kFirstStorage + 0x1100;
  world.process.poke(FakeProcess::kFirstDescriptor + 8, dtv);
  world.process.poke(dtv - 16, 3);
  world.process.poke(dtv + 16, FakeProcess::kFirstDescriptor - 0x40);  // static TLS
  world.process.poke(dtv + 32, 0x70070);                               // aligned within its block
  world.process.poke(dtv + 40, 0x70000);
  world.process.poke(dtv + 48, ~uint64_t{0});  // not allocated yet
  world.add_live(0, kMainStack, FakeProcess::kFirstDescriptor);
  const Roots roots = world.roots();
  EXPECT_THAT(words(roots, RootKind::Dtv), ElementsAre((dtv - 16).value, 0x70000));
}

TEST(Roots, EndlessVectorEnds) {
  World world;
  world.process.add_first_thread();
  const Addr dtv = FakeProcess::kFirstStorage + 0x1100;
  world.process.poke(FakeProcess::kFirstDescriptor + 8, dtv);
  world.process.poke(dtv - 16, ~uint64_t{0});
  world.add_live(0, kMainStack, FakeProcess::kFirstDescriptor);
  EXPECT_THAT(words(world.roots(), RootKind::Dtv), ElementsAre((dtv - 16).value));
}

// A frame as the kernel leaves it, 8 below a multiple of 16.
void put_signal_frame(FakeProcess& process, Addr at, Addr sp, AddrRange alternate) {
  process.poke(at, FakeProcess::kCode);
  process.poke(at + 8, 7);
  process.poke(at + 24, alternate.begin());
  process.poke(at + 40, alternate.size());
  process.poke(at + 48 + 15 * 8, sp);
  process.poke(at + 48 + 16 * 8, FakeProcess::kCode);
  process.poke(at + 48 + 18 * 8, 0x2b000000000033);
  process.poke(at + 48 + 23 * 8, at + 0x200);
}

TEST(Roots, SignalStackAndWhatTheSignalInterrupted) {
  World world;
  world.process.map(kOther, 0x8000);
  const Addr interrupted = kMainStack.end() - 0x2000;
  const AddrRange alternate(kOther + 0x1000, kOther + 0x6000);
  put_signal_frame(world.process, kOther + 0x5008, interrupted, alternate);
  const Addr sp = kOther + 0x4800;
  Thread& thread = world.process.add_first_thread();
  thread.registers[static_cast<size_t>(Register::Rsp)] = sp.value;
  world.add_live(0, kMainStack, FakeProcess::kFirstDescriptor);
  const Roots roots = world.roots();
  EXPECT_THAT(ranges(roots, RootKind::SignalStack),
              ElementsAre(AddrRange(sp - 128, alternate.end()),
                          AddrRange(interrupted - 128, kMainStack.end())));
  EXPECT_THAT(ranges(roots, RootKind::DeadStack),
              ElementsAre(AddrRange(kMainStack.begin(), interrupted - 128)));
  EXPECT_THAT(roots.notes, Not(Contains(Field(&Note::kind, NoteKind::Thread))));
}

TEST(Roots, FiberInABlockKeepsTheBlockAndTheWholeOwnStack) {
  World world;
  world.process.map(kOther, 0x8000);
  world.add_blocks({Block(kOther + 0x1010, 0x4000, BlockState::Used, ArenaId::none())});
  const Addr sp = kOther + 0x3000;
  Thread& thread = world.process.add_first_thread();
  thread.registers[static_cast<size_t>(Register::Rsp)] = sp.value;
  world.add_live(0, kMainStack, FakeProcess::kFirstDescriptor);
  const Roots roots = world.roots();
  EXPECT_THAT(ranges(roots, RootKind::SignalStack),
              ElementsAre(AddrRange(sp - 128, kOther + 0x5010)));
  EXPECT_THAT(ranges(roots, RootKind::Stack), ElementsAre(kMainStack));
  EXPECT_THAT(words(roots, RootKind::SignalStack), ElementsAre((kOther + 0x1010).value));
  EXPECT_THAT(roots.notes, Contains(Field(&Note::kind, NoteKind::Thread)));
  expect_disjoint(roots);
}

TEST(Roots, StackOfAThreadGlibcDoesNotKnowIsWhereItsPointerIs) {
  World world;
  world.process.map(kOther, 0x8000);
  world.process.add_thread(5, Addr(), kOther + 0x4000);
  world.add_live(0, {}, Addr());
  EXPECT_THAT(ranges(world.roots(), RootKind::Stack),
              ElementsAre(AddrRange(kOther + 0x4000 - 128, kOther + 0x8000)));
}

TEST(Roots, StackPointerInNoMemoryIsNoted) {
  World world;
  world.process.add_thread(5, Addr(), Addr(~uint64_t{0}));
  world.add_live(0, {}, Addr());
  EXPECT_THAT(world.roots().notes, Contains(Field(&Note::kind, NoteKind::Thread)));
}

TEST(Roots, FirstStackWithoutItsThreadIsWeakForTheEnvironmentsSake) {
  World world;
  ThreadArea area;
  area.fate = ThreadArea::Fate::Exited;
  area.stack = kMainStack;
  world.runtime.threads = {area};
  EXPECT_THAT(ranges(world.roots(), RootKind::UnknownMemory), Contains(kMainStack));
}

TEST(Roots, GeneralRegistersCountAndNeitherSegmentsNorFlags) {
  World world;
  Thread& thread = world.process.add_first_thread();
  for (size_t i = 0; i < kRegisterCount; ++i) thread.registers[i] = 0x10000 + i;
  const Roots roots = world.roots();
  std::vector<std::string> names;
  for (const RootWord& word : roots.words) names.push_back(word.name);
  EXPECT_THAT(names, testing::UnorderedElementsAre("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp",
                                                   "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
                                                   "r14", "r15", "rip"));
}

struct VectorWord {
  size_t offset;
  uint64_t value;
};

void set_xsave(Thread& thread, size_t size, uint64_t present,
               std::initializer_list<VectorWord> values) {
  thread.xsave.assign(size, std::byte{0});
  if (size >= 520) std::memcpy(thread.xsave.data() + 512, &present, 8);
  for (const VectorWord& word : values)
    std::memcpy(thread.xsave.data() + word.offset, &word.value, 8);
}

auto named(const char* name, uint64_t value) {
  return AllOf(Field(&RootWord::kind, RootKind::VectorRegister), Field(&RootWord::name, name),
               Field(&RootWord::value, value));
}

TEST(Roots, VectorRegistersOutOfTheXsaveArea) {
  World world;
  Thread& thread = world.process.add_first_thread();
  set_xsave(thread, 2696, 0xe7,
            {{160 + 9 * 16 + 8, 0x1111},
             {576 + 15 * 16, 0x2222},
             {1088 + 8, 0x3333},
             {1152 + 32, 0x4444},
             {1664 + 64, 0x5555}});
  const Roots roots = world.roots();
  EXPECT_THAT(roots.words, Contains(named("xmm9", 0x1111)));
  EXPECT_THAT(roots.words, Contains(named("ymm15", 0x2222)));
  EXPECT_THAT(roots.words, Contains(named("k1", 0x3333)));
  EXPECT_THAT(roots.words, Contains(named("zmm1", 0x4444)));
  EXPECT_THAT(roots.words, Contains(named("zmm17", 0x5555)));
  EXPECT_THAT(words(roots, RootKind::VectorRegister), SizeIs(5));
}

TEST(Roots, XsaveAreaWithoutTheGap) {
  World world;
  Thread& thread = world.process.add_first_thread();
  set_xsave(thread, 2440, 0xe6, {{896, 0x4444}, {1408, 0x5555}});
  const Roots roots = world.roots();
  EXPECT_THAT(roots.words, Contains(named("zmm0", 0x4444)));
  EXPECT_THAT(roots.words, Contains(named("zmm16", 0x5555)));
}

TEST(Roots, PartsOfTheXsaveAreaThatAreNotInUseHoldNothing) {
  World world;
  set_xsave(world.process.add_first_thread(), 2696, 0, {{160, 0x1111}, {576, 0x2222}});
  EXPECT_THAT(words(world.roots(), RootKind::VectorRegister), IsEmpty());
}

TEST(Roots, ShortXsaveAreasAreReadAsFarAsTheyGo) {
  for (const size_t size : {0UL, 100UL, 512UL, 519UL, 600UL, 1100UL}) {
    World world;
    set_xsave(world.process.add_first_thread(), size, 0xe7, {});
    if (size >= 512) world.process.add_thread(2, Addr(), Addr());
    EXPECT_THAT(words(world.roots(), RootKind::VectorRegister), IsEmpty());
  }
}

TEST(Roots, KernelReferencesAreWords) {
  World world;
  world.process.set_kernel_references(
      {{KernelReference::Kind::Epoll, 0x5000, "epoll fd 7 watching fd 12"},
       {KernelReference::Kind::Timer, 0x6000, "timer 0"}});
  const Roots roots = world.roots();
  EXPECT_THAT(words(roots, RootKind::Epoll), ElementsAre(0x5000));
  EXPECT_THAT(words(roots, RootKind::Timer), ElementsAre(0x6000));
  EXPECT_THAT(roots.notes, Not(Contains(Field(&Note::kind, NoteKind::KernelReferences))));
}

TEST(Roots, NotKnowingWhatTheKernelHoldsIsNoted) {
  World world;
  EXPECT_THAT(world.roots().notes, Contains(Field(&Note::kind, NoteKind::KernelReferences)));
}

TEST(Roots, BlocksAndMappingsAreNoRootsAndDamageIsWeak) {
  World world;
  world.process.map(kOther, 0x8000);
  world.heap.ranges = {{AddrRange::sized(kOther, 0x4000), ArenaId(size_t{0})}};
  world.heap.damaged = {AddrRange::sized(kOther + 0x1000, 0x100)};
  world.add_blocks({Block(kOther + 0x6000, 0x1000, BlockState::Mapping, ArenaId::none())});
  const Roots roots = world.roots();
  EXPECT_THAT(ranges(roots, RootKind::DamagedHeap),
              ElementsAre(AddrRange::sized(kOther + 0x1000, 0x100)));
  for (const RootRange& root : roots.ranges) {
    if (root.kind == RootKind::DamagedHeap) continue;
    EXPECT_FALSE(root.range.overlaps(AddrRange::sized(kOther, 0x4000)));
    EXPECT_FALSE(root.range.overlaps(AddrRange::sized(kOther + 0x6000, 0x1000)));
  }
  expect_disjoint(roots);
}

TEST(Roots, OtherMemoryIsWeakAndSharedMemorySaysSo) {
  World world;
  world.process.map(kOther, 0x1000);
  world.process.map(kOther + 0x2000, 0x1000).perms.shared = true;
  world.process.map(kOther + 0x4000, 0x1000).backing = Backing::Device;
  world.process.map(kOther + 0x6000, 0x1000).backing = Backing::Special;
  Region& text = world.process.map(kOther + 0x8000, 0x1000);
  text.backing = Backing::File;
  text.perms.write = false;
  const Roots roots = world.roots();
  EXPECT_THAT(ranges(roots, RootKind::UnknownMemory), Contains(AddrRange::sized(kOther, 0x1000)));
  EXPECT_THAT(ranges(roots, RootKind::SharedMemory),
              ElementsAre(AddrRange::sized(kOther + 0x2000, 0x1000)));
  for (const RootRange& root : roots.ranges) {
    EXPECT_FALSE(root.range.overlaps({kOther + 0x4000, kOther + 0x9000}));
  }
}

TEST(Roots, LoaderMemoryIsStrong) {
  World world;
  world.runtime.loader_memory = {AddrRange::sized(FakeProcess::kFirstStorage, 0x2000)};
  const Roots roots = world.roots();
  EXPECT_THAT(ranges(roots, RootKind::LoaderMemory),
              ElementsAre(AddrRange::sized(FakeProcess::kFirstStorage, 0x2000)));
  EXPECT_EQ(strength_of(RootKind::LoaderMemory), RootStrength::Strong);
}

TEST(Roots, WhatIsHeapIsNoLoaderMemory) {
  World world;
  world.runtime.loader_memory = {AddrRange::sized(FakeProcess::kFirstStorage, 0x2000)};
  world.heap.ranges.push_back(
      {AddrRange::sized(FakeProcess::kFirstStorage + 0x1000, 0x1000), ArenaId(0)});
  EXPECT_THAT(ranges(world.roots(), RootKind::LoaderMemory),
              ElementsAre(AddrRange::sized(FakeProcess::kFirstStorage, 0x1000)));
}

TEST(Roots, AreaOfAThreadTheImageDoesNotHaveIsIgnored) {
  World world;
  world.add_live(3, kMainStack, FakeProcess::kFirstDescriptor);
  EXPECT_THAT(ranges(world.roots(), RootKind::Stack), IsEmpty());
}

}  // namespace
}  // namespace heapscan

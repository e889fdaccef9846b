#include <gmock/gmock.h>

#include "heapscan/reach/roots.h"
#include "support/fake_process.h"

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr Addr kHeap{0x7f6600000000};
constexpr AddrRange kAllocator{FakeProcess::kProgram + 0x200, FakeProcess::kProgram + 0x600};
constexpr Addr kInside = FakeProcess::kProgram + 0x280;
constexpr Addr kOutside = FakeProcess::kProgram + 0x800;
constexpr uint64_t kBlock = 0x70;  // from one header to the next

// One thread, and eight blocks one behind the other.
class InTransit : public testing::Test {
 protected:
  InTransit() : thread_(process_.add_first_thread()) {
    process_.map(kHeap, 0x4000);
    set(Register::Rip, kInside.value);
    heap_.allocator_code = {kAllocator};
  }
  [[nodiscard]] static Addr block(uint64_t number) { return kHeap + 16 + kBlock * number; }
  [[nodiscard]] Addr sp() const { return thread_.sp(); }
  void set(Register r, uint64_t value) { thread_.registers[static_cast<size_t>(r)] = value; }
  void set(Register r, Addr value) { set(r, value.value); }
  void free_block(uint64_t number, BlockState state) { states_[number] = state; }

  [[nodiscard]] std::vector<Addr> found() {
    heap_.blocks = GrowingArray<Block>(states_.size());
    for (size_t i = 0; i < states_.size(); ++i)
      heap_.blocks.push_back(Block(block(i), kBlock - 8, states_[i], ArenaId(0)));
    const AddrRange grids[] = {AddrRange::sized(kHeap, 0x4000)};
    heap_.index = BlockIndex(heap_.blocks.rows(), grids);
    ThreadArea area;
    area.tid = 1;
    area.stack = AddrRange::sized(FakeProcess::kFirstStack, FakeProcess::kFirstStackSize);
    RuntimeFacts runtime;
    runtime.threads = {area};
    std::vector<Addr> blocks;
    for (const RootWord& word : find_roots(process_.build(), runtime, heap_).words) {
      if (word.kind != RootKind::InTransit) continue;
      EXPECT_TRUE(word.is_start);
      blocks.emplace_back(word.value);
    }
    return blocks;
  }

  FakeProcess process_;
  Thread& thread_;
  HeapModel heap_;
  std::vector<BlockState> states_ = std::vector<BlockState>(8, BlockState::Used);
};

TEST_F(InTransit, HeaderAddressesInRegistersAndFrames) {
  set(Register::Rbx, block(1) - 16);
  process_.poke(sp() + 0x40, block(3) - 16);
  process_.poke(sp() + 0xc00, block(5) - 16);  // far above the allocator's frames
  EXPECT_THAT(found(), ElementsAre(block(1), block(3)));
}

TEST_F(InTransit, NothingOutsideTheAllocator) {
  set(Register::Rip, kOutside);
  set(Register::Rbx, block(1) - 16);
  EXPECT_THAT(found(), IsEmpty());
}

// In a system call, or copying, for the allocator: its frames lie above.
TEST_F(InTransit, WhatTheAllocatorCalled) {
  set(Register::Rip, kOutside);
  process_.poke(sp() + 0x18, kInside);
  process_.poke(kInside - 8, uint64_t{0x00000000e8909090});  // call
  set(Register::Rbx, block(1) - 16);
  process_.poke(sp() + 0x100, block(2) - 16);
  EXPECT_THAT(found(), ElementsAre(block(1), block(2)));
}

TEST_F(InTransit, AnAddressThatFollowsNoCallIsNoFrame) {
  set(Register::Rip, kOutside);
  process_.poke(sp() + 0x18, kInside);
  process_.poke(kInside - 8, uint64_t{0x9090909090909090});
  set(Register::Rbx, block(1) - 16);
  EXPECT_THAT(found(), IsEmpty());
}

// The chunk before is free, and the block is being merged with it.
TEST_F(InTransit, BlockBehindFreeMemory) {
  free_block(1, BlockState::Binned);
  free_block(4, BlockState::Binned);
  free_block(5, BlockState::Binned);
  set(Register::Rbx, block(1) - 16);
  set(Register::R12, block(4) - 16);
  EXPECT_THAT(found(), ElementsAre(block(2)));
}

// A list taken out of its bin whole: 1, 3, 6 as since 2.32, and 2, 5 as before.
TEST_F(InTransit, MembersOfAListThatIsBeingEmptied) {
  const auto mix = [](Addr at, Addr value) { return at.value >> 12 ^ value.value; };
  set(Register::Rbx, block(1) - 16);
  process_.poke(block(1), mix(block(1), block(3) - 16));
  process_.poke(block(3), mix(block(3), block(6) - 16));
  process_.poke(block(6), mix(block(6), Addr()));
  set(Register::R12, block(2) - 16);
  process_.poke(block(2), block(5) - 16);
  EXPECT_THAT(found(), UnorderedElementsAre(block(1), block(3), block(6), block(2), block(5)));
}

// Its number of members lags behind: 1 is known to be cached, 3 and 6 hang behind it.
TEST_F(InTransit, MembersThatAListDoesNotCountYet) {
  const auto mix = [](Addr at, Addr value) { return at.value >> 12 ^ value.value; };
  free_block(1, BlockState::Tcache);
  process_.poke(block(1), mix(block(1), block(3)));
  process_.poke(block(3), mix(block(3), block(6)));
  process_.poke(block(6), mix(block(6), Addr()));
  EXPECT_THAT(found(), ElementsAre(block(3), block(6)));
}

// Block 1 lies behind free memory that a register names, and is a list's second member as well.
TEST_F(InTransit, ListsGoOnBehindMembersFoundOtherwise) {
  free_block(0, BlockState::Binned);
  set(Register::Rbx, block(0) - 16);
  free_block(2, BlockState::Tcache);
  process_.poke(block(2), block(2).value >> 12 ^ block(1).value);
  process_.poke(block(1), block(1).value >> 12 ^ block(5).value);
  process_.poke(block(5), block(5).value >> 12);
  EXPECT_THAT(found(), ElementsAre(block(1), block(5)));
}

TEST_F(InTransit, ListsAreFollowedOnlyWhileAThreadIsInside) {
  set(Register::Rip, kOutside);
  free_block(1, BlockState::Tcache);
  process_.poke(block(1), block(1).value >> 12 ^ block(3).value);
  EXPECT_THAT(found(), IsEmpty());
}

// Where a list leads back into itself, the walk ends.
TEST_F(InTransit, RingsEnd) {
  set(Register::Rbx, block(1) - 16);
  process_.poke(block(1), block(1).value >> 12 ^ block(2).value);
  process_.poke(block(2), block(2).value >> 12 ^ block(1).value);
  EXPECT_THAT(found(), ElementsAre(block(1), block(2)));
}

}  // namespace
}  // namespace heapscan

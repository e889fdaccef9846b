#include <gtest/gtest.h>

#include <random>

#include "heapscan/base/parallel.h"
#include "heapscan/reach/holders.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

constexpr size_t kSlots = 4096;
constexpr uint64_t kMessage = 104;

// A queue in a block of its own, {slots, head}, and its ring of slots, which the consumer passed
// without clearing them.
class StaleStore : public testing::Test {
 protected:
  StaleStore() {
    queue_ = program_.block(40);
    ring_ = program_.block(kSlots * 8 + 8);
    program_.poke(queue_, ring_);
    program_.strong_root(queue_);
  }

  // Fills the ring, one message after the other; message `i` was not freed if `is_kept(i)`.
  template <typename F>
  void fill(F&& is_kept) {
    for (size_t i = 0; i < kSlots; ++i) {
      const Addr message =
          program_.block(kMessage, is_kept(i) ? BlockState::Used : BlockState::Binned);
      messages_.push_back(message);
      program_.poke(slot(i), message);
    }
  }
  [[nodiscard]] Addr slot(size_t i) const { return ring_ + i * 8; }

  void trace() {
    world_ = program_.build();
    reach_ = world_.trace();
  }
  [[nodiscard]] Verdict verdict(size_t i) const { return world_.verdict(reach_, messages_[i]); }
  [[nodiscard]] uint64_t total(Verdict verdict) const {
    return reach_.totals[static_cast<size_t>(verdict)].blocks;
  }

  FakeProgram program_;
  FakeProgram::World world_;
  Reachability reach_;
  Addr queue_;
  Addr ring_;
  std::vector<Addr> messages_;
};

TEST_F(StaleStore, WhatOnlyItStillNamesIsLostWhenItRepeats) {
  fill([](size_t i) { return i % 50 == 20; });
  trace();
  EXPECT_EQ(total(Verdict::Definite), 82U);
  EXPECT_EQ(verdict(70), Verdict::Definite);
  EXPECT_EQ(world_.verdict(reach_, ring_), Verdict::Reachable);
  ASSERT_EQ(reach_.stale.stores.size(), 1U);
  EXPECT_EQ(reach_.stale.stores.front().block, world_.heap.block_at(ring_));
  EXPECT_EQ(reach_.stale.stores.front().percent(), 97U);
  EXPECT_EQ(reach_.stale_held.size(), 82U);
}

TEST_F(StaleStore, AFewAreOnlyPossible) {
  fill([](size_t i) { return i % 100 == 20; });
  trace();
  EXPECT_EQ(total(Verdict::Definite), 0U);
  EXPECT_EQ(total(Verdict::Possible), 41U);
  ASSERT_FALSE(reach_.possible.empty());
  EXPECT_EQ(reach_.possible.front().reason, Reason::StaleWord);
}

TEST_F(StaleStore, AWaitingMessageNextToTheIndexIsInUse) {
  fill([](size_t i) { return i % 50 == 20 || i == 2031; });
  program_.poke(queue_ + 8, 2031);
  trace();
  EXPECT_EQ(verdict(2031), Verdict::Reachable);
  EXPECT_EQ(total(Verdict::Definite), 82U);
}

TEST_F(StaleStore, ACounterThatGoesOnCountingIsAnIndex) {
  fill([](size_t i) { return i % 50 == 20 || i == 2031; });
  program_.poke(queue_ + 8, 7 * kSlots + 2031);
  trace();
  EXPECT_EQ(verdict(2031), Verdict::Reachable);
}

TEST_F(StaleStore, APointerAtTheSlotIsAnIndex) {
  fill([](size_t i) { return i % 50 == 20 || i == 2031; });
  program_.strong_root(slot(2031));
  trace();
  EXPECT_EQ(verdict(2031), Verdict::Reachable);
}

// A thread's stack may begin where the ring ends. The numbers near that word are the C library's
// own; one of them is the processor the thread runs on.
TEST_F(StaleStore, ThreadDescriptorsHoldNoIndex) {
  fill([](size_t i) { return i % 50 == 20 || i == 2031; });
  const Addr stack_begin = program_.strong_root(ring_ + kSlots * 8 + 8);
  program_.strong_root(uint64_t{2031});
  world_ = program_.build();
  reach_ = world_.trace();
  EXPECT_EQ(verdict(2031), Verdict::Reachable);
  ThreadArea area;
  area.descriptor = stack_begin;
  area.descriptor_size = 0x40;
  world_.runtime.threads.push_back(area);
  reach_ = world_.trace();
  EXPECT_EQ(verdict(2031), Verdict::Definite);
  world_.runtime.threads.clear();
  world_.roots.ranges.push_back(
      {RootKind::LoaderMemory, AddrRange::sized(stack_begin, 0x40), 0, ModuleId::none()});
  reach_ = world_.trace();
  EXPECT_EQ(verdict(2031), Verdict::Definite) << "nor does what the loader keeps";
}

TEST_F(StaleStore, WaitingMessagesInARowAreInUse) {
  fill([](size_t i) { return i % 50 == 20 || (i >= 1000 && i < 1015); });
  trace();
  for (size_t i = 1000; i < 1015; ++i) EXPECT_EQ(verdict(i), Verdict::Reachable) << i;
  EXPECT_EQ(total(Verdict::Definite), 82U);
}

TEST_F(StaleStore, WhatWaitingMessagesHoldIsInUse) {
  fill([](size_t i) { return i % 50 == 20 || (i >= 1000 && i < 1015); });
  const Addr text = program_.block(200);
  program_.poke(messages_[1007] + 16, text);
  const Addr lost_text = program_.block(200);
  program_.poke(messages_[70] + 16, lost_text);
  trace();
  EXPECT_EQ(world_.verdict(reach_, text), Verdict::Reachable);
  EXPECT_EQ(world_.verdict(reach_, lost_text), Verdict::Indirect);
}

TEST_F(StaleStore, MessagesHeldFromElsewhereAreInUse) {
  fill([](size_t i) { return i % 50 == 20; });
  for (size_t i = 20; i < kSlots; i += 100) program_.strong_root(messages_[i]);
  trace();
  EXPECT_EQ(verdict(120), Verdict::Reachable);
  EXPECT_EQ(total(Verdict::Possible), 41U);
}

// A hash table that keeps its state elsewhere has live slots anywhere.
TEST_F(StaleStore, SlotsThatWereNotFilledInOrderAreInUse) {
  std::mt19937 random(7);
  std::vector<size_t> order(kSlots);
  for (size_t i = 0; i < kSlots; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  fill([](size_t i) { return i % 50 == 20; });
  for (size_t i = 0; i < kSlots; ++i) program_.poke(slot(order[i]), messages_[i]);
  trace();
  EXPECT_EQ(total(Verdict::Definite), 0U);
  EXPECT_EQ(total(Verdict::Possible), 0U);
}

// In an array of structs a field tells which are in use.
TEST_F(StaleStore, SlotsWithAFieldBesideThemAreInUse) {
  for (size_t i = 0; i < kSlots / 2; ++i) {
    const bool is_kept = i % 20 == 3;
    messages_.push_back(program_.block(kMessage, is_kept ? BlockState::Used : BlockState::Binned));
    program_.poke(slot(2 * i), messages_.back());
    program_.poke(slot(2 * i + 1), uint64_t{is_kept ? 1U : 2U});
  }
  trace();
  EXPECT_EQ(total(Verdict::Definite), 0U);
  EXPECT_EQ(total(Verdict::Possible), 0U);
}

TEST_F(StaleStore, TheLowerPartOfAStackIsInUse) {
  fill([](size_t i) { return i < 500; });
  trace();
  EXPECT_EQ(total(Verdict::Definite), 0U);
  EXPECT_EQ(verdict(0), Verdict::Reachable);
  EXPECT_EQ(verdict(499), Verdict::Reachable);
}

TEST_F(StaleStore, SaysTheSameWithAnyNumberOfThreads) {
  fill([](size_t i) { return i % 50 == 20 || (i >= 1000 && i < 1015); });
  trace();
  for (const unsigned threads : {1U, 2U, 7U}) {
    const ThreadLimit limit(threads);
    const Reachability again = world_.trace();
    ASSERT_EQ(again.lost.size(), reach_.lost.size()) << threads;
    for (size_t i = 0; i < again.lost.size(); ++i)
      EXPECT_EQ(again.lost[i].block, reach_.lost[i].block) << threads;
  }
}

TEST_F(StaleStore, ItsWordsAreTheWeakestHolders) {
  fill([](size_t i) { return i % 50 == 20; });
  trace();
  const BlockId asked[] = {world_.heap.block_at(messages_[70])};
  const auto holders = find_holders(world_.image, world_.heap, world_.roots, reach_, asked);
  ASSERT_TRUE(holders.front().has_value());
  EXPECT_EQ(holders.front()->at, slot(70));
  EXPECT_NE(describe(*holders.front(), world_.image, world_.heap, world_.roots, reach_)
                .find("97 % of whose pointers lead to freed memory"),
            std::string::npos);
}

// An array among a module's variables.
class StaleVariable : public testing::Test {};

TEST_F(StaleVariable, HoldsNoMoreThanABlockDoes) {
  FakeProgram program;
  std::vector<Addr> jobs;
  for (size_t i = 0; i < kSlots; ++i) {
    const bool is_kept = i % 50 == 20 || i == 2031;
    jobs.push_back(program.block(kMessage, is_kept ? BlockState::Used : BlockState::Binned));
    program.strong_root(jobs.back());
  }
  program.strong_root(uint64_t{2031});  // head
  const FakeProgram::World world = program.build();
  const Reachability reach = world.trace();
  EXPECT_EQ(world.verdict(reach, jobs[2031]), Verdict::Reachable);
  EXPECT_EQ(world.verdict(reach, jobs[70]), Verdict::Definite);
  EXPECT_EQ(reach.totals[static_cast<size_t>(Verdict::Definite)].blocks, 82U);
}

}  // namespace
}  // namespace heapscan

#include "heapscan/diff/traced_allocations.h"

#include <gtest/gtest.h>

#include <string>

namespace heapscan {
namespace {

const Addr kHeapBegin(0x555500000010);

struct LookRow {
  uint64_t offset;
  uint64_t size;
  BlockState state;
  Verdict verdict;
};

// What a look found.
struct Found {
  HeapModel heap;
  Reachability reach;
};
Found look_at_rows(const std::vector<LookRow>& rows) {
  Found found;
  found.heap.blocks = GrowingArray<Block>(rows.size());
  found.reach.verdicts = GrowingArray<Verdict>(rows.size());
  for (const LookRow& row : rows) {
    found.heap.blocks.push_back({kHeapBegin + row.offset, row.size, row.state, ArenaId(0)});
    found.reach.verdicts.push_back(row.verdict);
  }
  found.heap.index = BlockIndex(std::span(found.heap.blocks.begin(), found.heap.blocks.size()),
                                std::vector<AddrRange>{AddrRange::sized(kHeapBegin - 16, 4096)});
  return found;
}

// Tells a log of allocations by stacks that have a letter.
class Recorder {
 public:
  void allocate(char stack, uint64_t offset, uint64_t size, uint8_t function = 0, int tid = 1) {
    RecordedAllocation allocation;
    allocation.address = kHeapBegin + offset;
    allocation.size = size;
    allocation.stack = log.stack_of({Addr(static_cast<uint64_t>(stack))}, true);
    allocation.tid = tid;
    allocation.pc = Addr(static_cast<uint64_t>(stack));
    allocation.sp = Addr(0x7ffe0000);
    allocation.function = function;
    log.add(allocation);
  }
  // "a: 2 definite 1 freed", in the order of the answer.
  [[nodiscard]] std::vector<std::string> judged(const Found& look) const {
    std::vector<std::string> lines;
    for (const TracedStack& row : judge_allocations(log, look.heap, look.reach)) {
      std::string line(1, static_cast<char>(log.stacks()[row.stack].calls.front().value));
      for (const auto& [verdict, name] :
           {std::pair(Verdict::Definite, "definite"), std::pair(Verdict::Indirect, "indirect"),
            std::pair(Verdict::Possible, "possible"), std::pair(Verdict::Reachable, "reachable"),
            std::pair(Verdict::NotJudged, "freed")}) {
        if (row.of(verdict).blocks != 0)
          line += " " + std::to_string(row.of(verdict).blocks) + " " + name;
      }
      lines.push_back(line);
    }
    return lines;
  }
  AllocationLog log;
};

using FateLines = std::vector<std::string>;

TEST(TracedAllocations, BlocksAreWhatTheLookSaysOfThem) {
  Recorder recorder;
  recorder.allocate('a', 0, 24);
  recorder.allocate('a', 32, 24);
  recorder.allocate('b', 64, 40);
  recorder.allocate('c', 112, 24);
  recorder.allocate('c', 144, 24);
  const Found look = look_at_rows({{0, 24, BlockState::Used, Verdict::Reachable},
                                   {32, 24, BlockState::Used, Verdict::Definite},
                                   {64, 40, BlockState::Used, Verdict::Indirect},
                                   {112, 24, BlockState::Tcache, Verdict::NotJudged},
                                   {144, 24, BlockState::Used, Verdict::Possible}});
  EXPECT_EQ(recorder.judged(look),
            FateLines({"b 1 indirect", "a 1 definite 1 reachable", "c 1 possible 1 freed"}));
}

TEST(TracedAllocations, TheLastAllocationAtAnAddressHasIt) {
  Recorder recorder;
  recorder.allocate('a', 0, 24);
  recorder.allocate('b', 0, 24);
  recorder.allocate('b', 0, 24);
  const Found look = look_at_rows({{0, 24, BlockState::Used, Verdict::Definite}});
  EXPECT_EQ(recorder.judged(look), FateLines({"b 1 definite 1 freed", "a 1 freed"}));
}

TEST(TracedAllocations, ABlockOfAnotherSizeOrPlaceIsAnother) {
  Recorder recorder;
  recorder.allocate('a', 0, 24);
  recorder.allocate('b', 96, 24);
  recorder.allocate('c', 4096 * 16, 24);
  const Found look = look_at_rows({{0, 40, BlockState::Used, Verdict::Definite},
                                   {80, 64, BlockState::Used, Verdict::Definite}});
  EXPECT_EQ(recorder.judged(look), FateLines({"a 1 freed", "b 1 freed", "c 1 freed"}));
}

TEST(TracedAllocations, AFunctionThatEndsInAnotherIsOneCall) {
  Recorder recorder;
  recorder.allocate('a', 0, 24, 0);
  recorder.allocate('a', 0, 24, 2);  // realloc(NULL), which ends in malloc
  recorder.allocate('a', 32, 24, 0, 1);
  recorder.allocate('a', 32, 24, 0, 1);  // freed in between, the same call again
  recorder.allocate('a', 64, 24, 0, 1);
  recorder.allocate('a', 64, 24, 2, 2);  // another thread
  const Found look = look_at_rows({{0, 24, BlockState::Used, Verdict::Definite},
                                   {32, 24, BlockState::Used, Verdict::Definite},
                                   {64, 24, BlockState::Used, Verdict::Definite}});
  EXPECT_EQ(recorder.judged(look), FateLines({"a 3 definite 2 freed"}));
}

TEST(TracedAllocations, ASampleStandsForAll) {
  Recorder recorder;
  const auto is_kept = [](Addr address) { return address == kHeapBegin; };
  recorder.allocate('a', 0, 24);
  recorder.allocate('a', 32, 24);
  recorder.allocate('a', 32, 24);  // one is freed, and counts once
  recorder.log.thin(8, is_kept);
  recorder.allocate('b', 0, 24);  // one of a's is freed, and counts for eight
  const Found look = look_at_rows({{0, 24, BlockState::Used, Verdict::Definite},
                                   {32, 24, BlockState::Used, Verdict::Definite}});
  EXPECT_EQ(recorder.judged(look), FateLines({"b 8 definite", "a 9 freed"}));
  const auto rows = judge_allocations(recorder.log, look.heap, look.reach);
  EXPECT_EQ(rows.front().lost_sizes, (std::vector<std::pair<uint64_t, uint64_t>>{{24, 8}}));
  EXPECT_EQ(rows.front().lost().bytes, 8U * 24);
  EXPECT_EQ(rows.front().examples, std::vector<BlockId>{BlockId(0)});
}

TEST(TracedAllocations, VeryManyStacksBecomeFewer) {
  AllocationLog log;
  const auto deep = [](uint64_t number) {
    return std::vector<Addr>{Addr(1), Addr(2), Addr(3), Addr(4), Addr(number)};
  };
  for (uint64_t i = 0; i < AllocationLog::kMostStacks; ++i) (void)log.stack_of(deep(i), true);
  const StackId first = log.stack_of(deep(1'000'000), true);
  EXPECT_EQ(first, log.stack_of(deep(1'000'001), true));
  EXPECT_EQ(log.stacks()[first].calls.size(), 4U);
  EXPECT_FALSE(log.stacks()[first].is_whole);
  EXPECT_NE(first, log.stack_of(deep(7), true)) << "known before";
  for (uint64_t i = 0; i < AllocationLog::kMostStacks; ++i)
    (void)log.stack_of({Addr(i), Addr(9)}, true);
  const StackId last = log.stack_of({Addr(77'000'000)}, true);
  EXPECT_TRUE(log.stacks()[last].calls.empty());
  EXPECT_EQ(log.stacks().size(), 2 * AllocationLog::kMostStacks + 1);
}

}  // namespace
}  // namespace heapscan

// What became of blocks whose allocation was recorded, by the stacks that allocated them.
//
// Pure bookkeeping: AllocationLog is told of allocations, in order, by whoever records them, and
// judge_allocations() holds what is left of it against one look at the process. Nobody is told of
// frees: a block is the recorded one if its address and size are, and no later allocation had that
// address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

using StackId = Id<struct StackTag>;

struct RecordedAllocation {
  Addr address;
  uint64_t size = 0;  // usable bytes
  StackId stack;
  // What tells a function of the C library that calls another one as its last act from a program
  // that calls both: where the caller is, and which function returns to it.
  int tid = 0;
  Addr sp;
  Addr pc;
  uint8_t function = 0;
};

class AllocationLog {
 public:
  struct Stack {
    std::vector<Addr> calls;  // innermost first
    bool is_whole = false;
    StateTotal freed;  // their addresses were allocated anew; in all, not of the sample
  };
  struct Latest {
    uint64_t size = 0;
    StackId stack;
  };

  // A stack of its own for each list of calls; when there are very many, of the innermost calls only,
  // and at last of none.
  static constexpr size_t kMostStacks = 200'000;
  static constexpr ptrdiff_t kCallsOfMany = 4;
  [[nodiscard]] StackId stack_of(const std::vector<Addr>& calls, bool is_whole);
  void add(const RecordedAllocation& allocation);
  // From now on each allocation stands for so many, a multiple of what it was; blocks at addresses
  // that are not `kept` are recorded no more, so what is known of them is forgotten.
  void thin(uint64_t one_in, const std::function<bool(Addr)>& kept);

  [[nodiscard]] uint64_t one_in() const { return one_in_; }
  [[nodiscard]] const Column<StackId, Stack>& stacks() const { return stacks_; }
  [[nodiscard]] const std::unordered_map<uint64_t, Latest>& latest() const { return latest_; }

 private:
  Column<StackId, Stack> stacks_;
  std::map<std::vector<Addr>, StackId> by_calls_;
  std::unordered_map<uint64_t, Latest> latest_;  // by address
  std::unordered_map<int, RecordedAllocation> last_of_thread_;
  uint64_t one_in_ = 1;
};

// What became of the blocks that one stack allocated. Of a sample, numbers are estimates of all.
struct TracedStack {
  StackId stack;
  // By verdict; of NotJudged: freed.
  std::array<StateTotal, kVerdictCount> fates{};
  std::vector<std::pair<uint64_t, uint64_t>> lost_sizes;  // size, blocks; ascending
  std::vector<BlockId> examples;  // lost ones, by address; at most kExamples
  static constexpr size_t kExamples = 5;

  [[nodiscard]] const StateTotal& of(Verdict verdict) const {
    return fates[static_cast<size_t>(verdict)];
  }
  [[nodiscard]] StateTotal lost() const {
    return {of(Verdict::Definite).blocks + of(Verdict::Indirect).blocks,
            of(Verdict::Definite).bytes + of(Verdict::Indirect).bytes};
  }
};

// Those with the most lost bytes first, then by possibly lost, reachable and freed ones.
[[nodiscard]] std::vector<TracedStack> judge_allocations(const AllocationLog& log,
                                                         const HeapModel& heap,
                                                         const Reachability& reach);

}  // namespace heapscan

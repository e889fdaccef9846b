// Probes on a real program's malloc, by both ways in which the kernel runs ours.
#include "heapscan/acquire/allocation_trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>

#include "heapscan/base/error.h"
#include "heapscan/symbols/stack_unwinder.h"
#include "live/target.h"

namespace heapscan {
namespace {

using testing::Target;

// fixtures/programs/traced.c
constexpr uint64_t kRound = 100;
constexpr SizeRange kTickets = {264, 264};
constexpr SizeRange kAligned = {1032, 1064};  // as glibc splits what it aligns

class LiveAllocationTrace : public ::testing::TestWithParam<AllocationTrace::Method> {
 protected:
  LiveAllocationTrace() : target_(PROGRAM_TRACED, {PROGRAM_TRACED_LIBRARY}) {}

  void SetUp() override {
    ASSERT_TRUE(target_.is_ready());
    modules_.emplace(read_running_modules(target_.pid()));
    allocator_ = find_allocator_in(*modules_);
  }

  // Nothing, and the reason in `why`, where the kernel lets nobody trace.
  std::optional<AllocationTrace> trace(const SizeRange& sizes, std::string& why) {
    try {
      return AllocationTrace(target_.pid(), allocator_, sizes, GetParam());
    } catch (const Error& error) {
      why = error.what();
      // Anything else is a fault of ours.
      if (why.find("cannot trace allocations: ") != 0) throw;
      return std::nullopt;
    }
  }

  // The line that is sent has two bytes: two rounds.
  void run_two_rounds() {
    ASSERT_TRUE(target_.ask("."));
    ASSERT_TRUE(target_.read_line());
  }

  Target target_;
  std::optional<RunningModules> modules_;
  AllocatorInProcess allocator_;
};

TEST_P(LiveAllocationTrace, FindsTheFunctionsOfTheLibraryThatIsMapped) {
  EXPECT_TRUE(allocator_.path.find("libc") != std::string::npos) << allocator_.path;
  std::set<std::string> names;
  for (const AllocationPoint& point : allocator_.points) names.insert(point.name);
  for (const char* name : {"malloc", "calloc", "realloc", "posix_memalign"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST_P(LiveAllocationTrace, RecordsEveryAllocationOfTheSizeWithItsStack) {
  std::string why;
  auto trace = this->trace(kTickets, why);
  if (!trace) GTEST_SKIP() << why;
  run_two_rounds();
  trace->stop();
  run_two_rounds();  // of which nothing is recorded
  StackUnwinder unwinder(modules_->image, modules_->files);
  uint64_t events = 0;
  uint64_t whole = 0;
  trace->drain([&](const AllocationEvent& event) {
    ++events;
    EXPECT_EQ(event.size, kTickets.least);
    EXPECT_EQ(event.address.value % 16, 0U);
    const UnwoundStack stack = unwinder.unwind(event.registers, event.stack_begin, event.stack);
    whole += stack.is_whole ? 1 : 0;
    ASSERT_GE(stack.calls.size(), 3U);
    const Module* const module = modules_->image.module_at(stack.calls.front());
    ASSERT_NE(module, nullptr);
    EXPECT_TRUE(module->is_executable);
  });
  EXPECT_EQ(events, 2 * 3 * kRound);
  EXPECT_EQ(whole, events);
  const TraceCounts counts = trace->counts();
  EXPECT_EQ(counts.records, events);
  EXPECT_EQ(counts.lost, 0U);
  EXPECT_GE(counts.calls, 2 * 8 * kRound);
  if (trace->skips_returns()) {
    EXPECT_LT(counts.returns, counts.calls);
  }
}

TEST_P(LiveAllocationTrace, KnowsAddressesThatAreReturnedThroughAPointer) {
  std::string why;
  auto trace = this->trace(kAligned, why);
  if (!trace) GTEST_SKIP() << why;
  run_two_rounds();
  std::set<uint64_t> addresses;
  trace->drain([&](const AllocationEvent& event) {
    EXPECT_EQ(event.function, AllocationFunction::PosixMemalign);
    EXPECT_EQ(event.address.value % 64, 0U);
    addresses.insert(event.address.value);
  });
  EXPECT_EQ(addresses.size(), 2 * kRound);
}

TEST_P(LiveAllocationTrace, ASampleIsOfTheSameAddressesAlways) {
  std::string why;
  auto trace = this->trace(kAligned, why);
  if (!trace) GTEST_SKIP() << why;
  trace->sample(4);
  run_two_rounds();
  uint64_t events = 0;
  trace->drain([&](const AllocationEvent& event) {
    ++events;
    EXPECT_TRUE(is_sampled(event.address, 4));
    EXPECT_TRUE(is_sampled(event.address, 2));
  });
  EXPECT_GT(events, 2 * kRound / 8);
  EXPECT_LT(events, 2 * kRound / 2);
}

TEST_P(LiveAllocationTrace, WhatProbesCostIsMeasured) {
  std::string why;
  if (!trace(kTickets, why)) GTEST_SKIP() << why;
  const ProbeCost cost = measure_probe_cost(allocator_, GetParam());
  EXPECT_GT(cost.call + cost.at_return, 0);
  EXPECT_LT(cost.call + cost.at_return + cost.record, 1e-3);
  EXPECT_DOUBLE_EQ(seconds_spent({2, 1, 1, 0}, {1, 10, 100}), 112);
}

INSTANTIATE_TEST_SUITE_P(Methods, LiveAllocationTrace,
                         ::testing::Values(AllocationTrace::Method::Sessions,
                                           AllocationTrace::Method::PerfEvents),
                         [](const auto& method) {
                           return method.param == AllocationTrace::Method::Sessions ? "Sessions"
                                                                                    : "PerfEvents";
                         });

}  // namespace
}  // namespace heapscan

// Work shared out among threads that were there before.
#include "acquire/pause.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <numeric>
#include <set>
#include <stdexcept>
#include <vector>

#include "heapscan/base/parallel.h"

namespace heapscan {
namespace {

TEST(WorkCrew, EveryIndexIsDoneOnce) {
  const ThreadLimit limit(4);
  WorkCrew crew;
  EXPECT_EQ(crew.size(), 4U);
  for (const size_t count : {0U, 1U, 2U, 3U, 1000U}) {
    for (int round = 0; round < 100; ++round) {
      std::vector<std::atomic<int>> done(count);
      crew.run(count, [&](size_t i) { ++done[i]; });
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(done[i], 1) << i << " of " << count;
    }
  }
}

TEST(WorkCrew, OneThreadIsEnough) {
  const ThreadLimit limit(1);
  WorkCrew crew;
  EXPECT_EQ(crew.size(), 1U);
  size_t sum = 0;
  crew.run(100, [&](size_t i) { sum += i; });
  EXPECT_EQ(sum, 4950U);
}

TEST(WorkCrew, WhatIsThrownArrivesAndTheNextWorkIsDone) {
  const ThreadLimit limit(3);
  WorkCrew crew;
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(crew.run(100,
                          [](size_t i) {
                            if (i % 10 == 7) throw std::runtime_error("seven");
                          }),
                 std::runtime_error);
    std::atomic<size_t> done{0};
    crew.run(100, [&](size_t) { ++done; });
    ASSERT_EQ(done, 100U);
  }
}

TEST(WorkCrew, ItsThreadsAreKnown) {
  const ThreadLimit limit(4);
  WorkCrew crew;
  const std::vector<int> ids = crew.thread_ids();
  EXPECT_EQ(std::set<int>(ids.begin(), ids.end()).size(), 3U);
  EXPECT_FALSE(std::set<int>(ids.begin(), ids.end()).contains(::gettid()));
}

bool may_be_real_time() {
  const sched_param lowest{1};
  const sched_param none{0};
  return ::sched_setscheduler(0, SCHED_RR, &lowest) == 0 &&
         ::sched_setscheduler(0, SCHED_OTHER, &none) == 0;
}

TEST(Urgency, RaisesWhereItMayAndEndsWithItself) {
  ASSERT_EQ(::sched_getscheduler(0), SCHED_OTHER);
  const int expected = may_be_real_time() ? SCHED_RR : SCHED_OTHER;
  {
    const Urgency urgency({::gettid()});
    EXPECT_EQ(::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK, expected);
  }
  EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER);
}

// Who runs us with little priority wants others to come first.
TEST(Urgency, LoweredPriorityIsRespected) {
  const sched_param none{0};
  ASSERT_EQ(::sched_setscheduler(0, SCHED_BATCH, &none), 0);
  {
    const Urgency urgency({::gettid()});
    EXPECT_EQ(::sched_getscheduler(0), SCHED_BATCH);
  }
  ASSERT_EQ(::sched_setscheduler(0, SCHED_OTHER, &none), 0);
}

}  // namespace
}  // namespace heapscan

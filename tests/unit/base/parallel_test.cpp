#include "heapscan/base/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace heapscan {
namespace {

struct Blocked {
  bool is_worker = false;
  bool interrupt = false;
  bool fault = false;
};

Blocked blocked_here(std::thread::id caller) {
  sigset_t signals;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &signals);
  return {std::this_thread::get_id() != caller, sigismember(&signals, SIGINT) == 1,
          sigismember(&signals, SIGBUS) == 1};
}

TEST(ParallelFor, LeavesSignalsToTheThreadThatCalled) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one processor, and so no workers";
  const ThreadLimit limit(2);
  const auto caller = std::this_thread::get_id();
  std::array<Blocked, 2> found{};
  std::atomic<int> arrived{0};
  // Each of the two waits for the other, so that two threads take part.
  parallel_for(2, [&](size_t i) {
    ++arrived;
    while (arrived != 2) std::this_thread::yield();
    found[i] = blocked_here(caller);
  });
  EXPECT_NE(found[0].is_worker, found[1].is_worker);
  for (const Blocked& blocked : found) {
    EXPECT_EQ(blocked.interrupt, blocked.is_worker);
    EXPECT_FALSE(blocked.fault);
  }
}

TEST(ParallelFor, DoesEachIndexOnceOnAnyNumberOfThreads) {
  for (const unsigned threads : {1U, 2U, 5U}) {
    const ThreadLimit limit(threads);
    EXPECT_EQ(ThreadLimit::current(), threads);
    for (const size_t count : {0U, 1U, 2U, 1000U, 100'003U}) {
      std::vector<std::atomic<int>> done(count);
      parallel_for(count, [&](size_t i) { ++done[i]; });
      EXPECT_EQ(std::count(done.begin(), done.end(), 1), static_cast<ptrdiff_t>(count));
    }
  }
}

TEST(ParallelFor, HandsOnWhatALoopThrows) {
  const ThreadLimit limit(2);
  EXPECT_THROW(parallel_for(1000,
                            [](size_t i) {
                              if (i == 700) throw std::out_of_range("700");
                            }),
               std::out_of_range);
  std::atomic<size_t> done{0};
  parallel_for(1000, [&](size_t) { ++done; });
  EXPECT_EQ(done, 1000U) << "the next loop is as any other";
}

TEST(ParallelFor, WorksWithinALoop) {
  const ThreadLimit limit(2);
  std::atomic<size_t> done{0};
  parallel_for(20, [&](size_t) { parallel_for(30, [&](size_t) { ++done; }); });
  EXPECT_EQ(done, 600U);
}

#if defined(HEAPSCAN_OWN_THREADS)
TEST(ParallelFor, MakesNoThreadsWithinALoop) {
  const ThreadLimit limit(4);
  std::atomic<size_t> elsewhere{0};
  parallel_for(8, [&](size_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(100, [&](size_t) { elsewhere += std::this_thread::get_id() != outer; });
  });
  EXPECT_EQ(elsewhere, 0U);
}

// AddressSanitizer ends the program when it cannot have what a thread takes.
#if !defined(__SANITIZE_ADDRESS__)
// A process that may have no further thread, as in a container with a limit.
TEST(ParallelFor, DoesWithoutThreadsThatCannotBeHad) {
  const ThreadLimit limit(4);
  const auto loop_without_threads = [] {
    // An address space that has no room for a stack.
    rlimit space{};
    ::getrlimit(RLIMIT_AS, &space);
    space.rlim_cur = 1;
    ::setrlimit(RLIMIT_AS, &space);
    std::atomic<size_t> done{0};
    parallel_for(100, [&](size_t) { ++done; });
    ::_exit(done == 100 ? 0 : 1);
  };
  EXPECT_EXIT(loop_without_threads(), testing::ExitedWithCode(0), "");
}
#endif
#endif

}  // namespace
}  // namespace heapscan

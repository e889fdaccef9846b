#include "heapscan/base/parallel.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

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

}  // namespace
}  // namespace heapscan

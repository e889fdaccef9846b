// Which calls that a stop ended are made again.
#include "acquire/process_stop.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include <cerrno>

namespace heapscan {
namespace {

constexpr int64_t kRestartByBlock = -516;

TEST(InterruptedCall, WaitsThatEndWithEintrAreMadeAgain) {
  for (const int64_t call : {SYS_read, SYS_select, SYS_connect, SYS_accept, SYS_recvfrom, SYS_semop,
                             SYS_rt_sigtimedwait, SYS_io_getevents, SYS_semtimedop, SYS_epoll_wait,
                             SYS_epoll_pwait, SYS_recvmmsg, SYS_io_uring_enter}) {
    EXPECT_EQ(continuation_of({call, -EINTR, 0}), Continuation::MakeAgain) << call;
  }
}

// A descriptor is gone when close() says EINTR, and what ioctl() has done nobody knows.
TEST(InterruptedCall, CallsThatMayHaveDoneSomethingAreLeft) {
  for (const int64_t call : {SYS_close, SYS_ioctl, SYS_openat, SYS_fcntl, SYS_flock, SYS_ptrace}) {
    EXPECT_EQ(continuation_of({call, -EINTR, 0}), Continuation::Leave) << call;
  }
}

TEST(InterruptedCall, OtherResultsAreLeft) {
  for (const int64_t result : {int64_t{0}, int64_t{1}, int64_t{-EAGAIN}, int64_t{-ETIMEDOUT},
                               int64_t{-512}, int64_t{-513}, int64_t{-514}, int64_t{4}}) {
    EXPECT_EQ(continuation_of({SYS_epoll_wait, result, 0}), Continuation::Leave) << result;
  }
}

// An interrupted instruction, or the return from a handler, whose rax means something else.
TEST(InterruptedCall, OutsideCallsNothingIsMadeAgain) {
  EXPECT_EQ(continuation_of({-1, -EINTR, 0}), Continuation::Leave);
  EXPECT_EQ(continuation_of({-1, kRestartByBlock, 0}), Continuation::Leave);
}

TEST(InterruptedCall, SleepsAreResumedByTheKernelUnlessAFilterIsInTheWay) {
  for (const int64_t call : {SYS_nanosleep, SYS_clock_nanosleep, SYS_poll}) {
    EXPECT_EQ(continuation_of({call, kRestartByBlock, 0}), Continuation::MakeAgainIfFiltered)
        << call;
  }
  EXPECT_EQ(continuation_of({SYS_futex, kRestartByBlock, FUTEX_WAIT_PRIVATE}),
            Continuation::MakeAgainIfFiltered);
  EXPECT_EQ(continuation_of({SYS_restart_syscall, kRestartByBlock, 0}), Continuation::Leave);
}

TEST(InterruptedCall, AWaitUntilAMomentIsTheSameWhenMadeAgain) {
  for (const uint64_t operation : {FUTEX_WAIT_BITSET, FUTEX_WAIT_BITSET_PRIVATE,
                                   FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME}) {
    EXPECT_EQ(continuation_of({SYS_futex, kRestartByBlock, operation}), Continuation::MakeAgain);
  }
}

}  // namespace
}  // namespace heapscan

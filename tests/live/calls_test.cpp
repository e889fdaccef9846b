// A system call that a capture took a thread out of goes on as if nothing had been.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "acquire/process_stop.h"
#include "heapscan/acquire/capture.h"
#include "live/target.h"

namespace heapscan {
namespace {

using testing::Target;
using testing::wait_for_state;
using testing::wait_until;

constexpr int kCaptures = 40;

struct WaitingThread {
  std::string name;
  int tid = 0;
  long call = 0;
};

// The number of the call it is blocked in; -1 when it runs.
long blocked_call(int pid, int tid) {
  const std::string text =
      read_text_file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/syscall");
  long call = -1;
  std::istringstream(text) >> call;
  return call;
}

// A call that the kernel has resumed has another name.
bool is_blocked(int pid, const WaitingThread& thread) {
  return wait_until([&] {
    const long call = blocked_call(pid, thread.tid);
    return call == thread.call || call == SYS_restart_syscall;
  });
}

// What `waiting_calls` says of its threads.
std::vector<WaitingThread> threads_of(const Target& target) {
  std::vector<WaitingThread> threads;
  const auto& words = target.fact("call");
  for (size_t i = 0; i + 2 < words.size(); i += 3) {
    threads.push_back({words[i], std::stoi(words[i + 1]), std::stol(words[i + 2])});
  }
  return threads;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream text(line);
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

// "epoll_wait 0 recv 1 end"
std::map<std::string, int> counts(Target& target, const std::string& question) {
  const std::vector<std::string> words = words_of(target.ask(question).value_or(""));
  std::map<std::string, int> found;
  for (size_t i = 0; i + 1 < words.size(); i += 2) found[words[i]] = std::stoi(words[i + 1]);
  return found;
}

void wait_until_blocked(const Target& target) {
  for (const WaitingThread& thread : threads_of(target)) {
    ASSERT_TRUE(is_blocked(target.pid(), thread)) << thread.name;
  }
}

// Captures again and again, each time when all threads are in their calls.
void capture_waiting(const Target& target, const CaptureOptions& options) {
  for (int i = 0; i < kCaptures; ++i) {
    wait_until_blocked(target);
    (void)capture_process(target.pid(), options);
  }
  wait_until_blocked(target);
}

void expect_each(const std::map<std::string, int>& found, int expected) {
  for (const auto& [name, count] : found) EXPECT_EQ(count, expected) << name;
}

TEST(LiveCalls, NoneEndsAndEachStillGetsWhatItWaitsFor) {
  Target target(PROGRAM_WAITING_CALLS);
  ASSERT_TRUE(target.is_ready());
  capture_waiting(target, {});
  const auto interrupted = counts(target, "count");
  EXPECT_EQ(interrupted.size(), threads_of(target).size());
  EXPECT_GE(interrupted.size(), 20U);
  expect_each(interrupted, 0);
  expect_each(counts(target, "wake"), 1);
}

// What the test above would see if nothing were done; also what --leave-calls is.
TEST(LiveCalls, LeftAloneTheyEndWithEintr) {
  Target target(PROGRAM_WAITING_CALLS);
  ASSERT_TRUE(target.is_ready());
  CaptureOptions options;
  options.leave_calls = true;
  capture_waiting(target, options);
  const auto interrupted = counts(target, "count");
  for (const char* const name :
       {"epoll_wait", "epoll_pwait", "epoll_pwait2", "select", "sigtimedwait", "recv", "read",
        "recvmsg", "recvmmsg", "send", "accept", "connect", "semop", "semtimedop"}) {
    EXPECT_EQ(interrupted.at(name), kCaptures) << name;
  }
  for (const char* const name : {"poll", "futex", "futex_until", "nanosleep", "msgrcv"}) {
    EXPECT_EQ(interrupted.at(name), 0) << name;
  }
}

TEST(LiveCalls, SleepsUnderAFilterThatKillsForRestartSyscall) {
  Target target(PROGRAM_WAITING_CALLS, {"filtered"});
  ASSERT_TRUE(target.is_ready());
  capture_waiting(target, {});
  expect_each(counts(target, "count"), 0);
  expect_each(counts(target, "wake"), 1);
}

TEST(LiveCalls, LeftAloneTheFilterKills) {
  Target target(PROGRAM_WAITING_CALLS, {"filtered"});
  ASSERT_TRUE(target.is_ready());
  wait_until_blocked(target);
  CaptureOptions options;
  options.leave_calls = true;
  (void)capture_process(target.pid(), options);
  const int status = target.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << status;
}

// Signals that a program ignores wake it while it is traced.
TEST(LiveCalls, IgnoredSignalsDoNotEndThemEither) {
  Target target(PROGRAM_WAITING_CALLS);
  ASSERT_TRUE(target.is_ready());
  std::atomic<bool> done{false};
  std::thread sender([&] {
    while (!done) ::kill(target.pid(), SIGWINCH);
  });
  capture_waiting(target, {});
  done = true;
  sender.join();
  expect_each(counts(target, "count"), 0);
}

// ---- signals of its own
// ------------------------------------------------------------------------------------------------

struct SignalCounts {
  int64_t handled = 0;      // times the handler ran
  int64_t ended = 0;        // calls that the handlers saw end
  int64_t interrupted = 0;  // calls that ended with EINTR
  int64_t wrong = 0;
};

std::map<std::string, SignalCounts> signal_counts(Target& target) {
  const std::vector<std::string> words = words_of(target.ask("count").value_or(""));
  std::map<std::string, SignalCounts> found;
  for (size_t i = 0; i + 4 < words.size(); i += 5) {
    found[words[i]] = {std::stoll(words[i + 1]), std::stoll(words[i + 2]), std::stoll(words[i + 3]),
                       std::stoll(words[i + 4])};
  }
  return found;
}

TEST(LiveCalls, TimersWithHandlersMeanWhatTheyMeant) {
  Target target(PROGRAM_SIGNALLED_CALLS);
  ASSERT_TRUE(target.is_ready());
  for (int i = 0; i < 300; ++i) (void)capture_process(target.pid());
  for (const auto& [name, count] : signal_counts(target)) {
    EXPECT_GT(count.handled, 100) << name;
    EXPECT_EQ(count.wrong, 0) << name;
    if (name == "read_restarted") {
      EXPECT_EQ(count.interrupted, 0);
    } else {
      EXPECT_GT(count.interrupted, 50) << name;
    }
  }
}

// Two threads of `signalled_calls quiet`, one in epoll_wait and one receiving with a timeout.
class QuietThreads : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(target_.is_ready());
    const auto& words = target_.fact("call");
    threads_ = {{words.at(0), std::stoi(words.at(1)), SYS_epoll_wait},
                {words.at(2), std::stoi(words.at(3)), SYS_recvfrom}};
  }

  void wait_until_blocked() {
    for (const WaitingThread& thread : threads_) {
      ASSERT_TRUE(is_blocked(target_.pid(), thread)) << thread.name;
    }
  }

  // On a thread that ends then, as StoppedProcess demands.
  void while_stopped(const std::function<void()>& act) {
    std::thread tracer([&] {
      StoppedProcess process(target_.pid(), {}, {});
      act();
    });
    tracer.join();
  }

  // Both threads', once all have been counted that are to come.
  void expect_counts(int64_t handled, int64_t interrupted) {
    for (const WaitingThread& thread : threads_) {
      EXPECT_TRUE(wait_until([&] {
        const SignalCounts now = signal_counts(target_).at(thread.name);
        return now.handled >= handled && now.interrupted >= interrupted;
      })) << thread.name;
      const SignalCounts now = signal_counts(target_).at(thread.name);
      EXPECT_EQ(now.handled, handled) << thread.name;
      EXPECT_EQ(now.interrupted, interrupted) << thread.name;
    }
  }

  void signal_both(int signal) {
    for (const WaitingThread& thread : threads_) ::tgkill(target_.pid(), thread.tid, signal);
  }

  Target target_{PROGRAM_SIGNALLED_CALLS, {"quiet"}};
  std::vector<WaitingThread> threads_;
};

TEST_F(QuietThreads, ASignalThatComesDuringTheStopEndsTheCall) {
  int64_t sent = 0;
  for (int i = 0; i < kCaptures; ++i) {
    for (const int signal : {SIGUSR1, SIGUSR2}) {  // without SA_RESTART, and with it
      wait_until_blocked();
      while_stopped([&] { signal_both(signal); });
      ++sent;
      expect_counts(sent, sent);
    }
  }
}

TEST_F(QuietThreads, NoSignalEndsNothing) {
  for (int i = 0; i < kCaptures; ++i) {
    wait_until_blocked();
    while_stopped([] {});
    wait_until_blocked();
    while_stopped([&] { ::kill(target_.pid(), SIGWINCH); });
  }
  wait_until_blocked();
  expect_counts(0, 0);
}

// SIGSTOP and SIGCONT end such calls without us, too; looking at the stopped process changes
// nothing.
TEST_F(QuietThreads, AStopOfItsOwnMeansWhatItMeant) {
  for (int64_t stops = 1; stops <= 10; ++stops) {
    wait_until_blocked();
    ::kill(target_.pid(), SIGSTOP);
    ASSERT_TRUE(wait_for_state(target_.pid(), 'T'));
    if (stops % 2 == 0) {
      (void)capture_process(target_.pid());
      ASSERT_TRUE(wait_for_state(target_.pid(), 'T'));
    }
    ::kill(target_.pid(), SIGCONT);
    expect_counts(0, stops);
  }
}

}  // namespace
}  // namespace heapscan

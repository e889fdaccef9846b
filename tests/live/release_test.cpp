// After a capture, or after the death of the one who captures, the target is as it was.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "heapscan/acquire/capture.h"
#include "heapscan/base/error.h"
#include "live/target.h"

namespace heapscan {
namespace {

using testing::status_field;
using testing::Target;
using testing::wait_for_state;

constexpr const char* kMebibytes = "64";

// Sends numbered signals until it is ended, never so many at once that they fill the user's queue.
class SignalSender {
 public:
  explicit SignalSender(int pid) : pid_(pid), thread_([this] { run(); }) {}
  ~SignalSender() { stop(); }
  SignalSender(const SignalSender&) = delete;
  SignalSender& operator=(const SignalSender&) = delete;
  void stop() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] uint64_t sent() const { return sent_; }
  // What the program should have counted: how many, and the sum of their numbers.
  [[nodiscard]] std::string expected() const {
    return std::to_string(sent_) + " " + std::to_string(sent_ * (sent_ + 1) / 2);
  }

 private:
  void run() {
    while (!done_) {
      if (sent_ % kBurst == 0 && queued() > kQueuedAtMost) {
        std::this_thread::yield();
        continue;
      }
      sigval value{};
      value.sival_ptr = reinterpret_cast<void*>(sent_ + 1);
      if (::sigqueue(pid_, SIGRTMIN, value) == 0) ++sent_;
    }
  }
  [[nodiscard]] uint64_t queued() const {
    return std::strtoull(status_field(pid_, "SigQ").c_str(), nullptr, 10);
  }

  static constexpr uint64_t kBurst = 50;
  static constexpr uint64_t kQueuedAtMost = 500;
  int pid_;
  std::atomic<bool> done_{false};
  uint64_t sent_ = 0;
  std::thread thread_;
};

// Asks until the program has counted as many signals as were sent, or says something else for ten
// seconds.
std::string final_count(Target& target, uint64_t expected) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  std::string answer;
  while (std::chrono::steady_clock::now() < deadline) {
    answer = target.ask("count").value_or("");
    if (std::strtoull(answer.c_str(), nullptr, 10) >= expected) break;
  }
  return answer;
}

TEST(LiveRelease, RunningProcessRunsOn) {
  Target target(PROGRAM_ECHO);
  for (int i = 0; i < 20; ++i) {
    (void)capture_process(target.pid());
    EXPECT_EQ(status_field(target.pid(), "TracerPid"), "0");
    EXPECT_EQ(target.ask("word"), "word");
  }
}

TEST(LiveRelease, StoppedProcessStaysStopped) {
  Target target(PROGRAM_REGISTERS);
  ::kill(target.pid(), SIGSTOP);
  ASSERT_TRUE(wait_for_state(target.pid(), 'T'));
  for (int i = 0; i < 20; ++i) {
    const Capture capture = capture_process(target.pid());
    EXPECT_EQ(capture.image.threads().size(), 3U);
    ASSERT_TRUE(wait_for_state(target.pid(), 'T'));
    EXPECT_TRUE(status_field(target.pid(), "State").starts_with("T (stopped)"));
  }
  ::kill(target.pid(), SIGCONT);
  EXPECT_EQ(target.ask("word"), "word");
}

TEST(LiveRelease, ContinueDuringCapturesIsObeyed) {
  Target target(PROGRAM_ECHO);
  for (int i = 0; i < 50; ++i) {
    ::kill(target.pid(), SIGSTOP);
    std::thread other([&] { ::kill(target.pid(), SIGCONT); });
    (void)capture_process(target.pid());
    other.join();
    EXPECT_EQ(target.ask("word"), "word");
  }
}

TEST(LiveRelease, SignalsAreDeliveredExactlyOnce) {
  Target target(PROGRAM_SIGNAL_COUNTER);
  ASSERT_TRUE(target.is_ready());
  SignalSender sender(target.pid());
  for (int i = 0; i < 200; ++i) (void)capture_process(target.pid());
  sender.stop();
  EXPECT_GT(sender.sent(), 200U);
  EXPECT_EQ(final_count(target, sender.sent()), sender.expected());
}

TEST(LiveRelease, ThreadsThatComeAndGo) {
  Target target(PROGRAM_THREAD_CHURN);
  ASSERT_TRUE(target.is_ready());
  uint64_t before = 0;
  for (int i = 0; i < 200; ++i) {
    const Capture capture = capture_process(target.pid());
    EXPECT_GE(capture.image.threads().size(), 4U);
    for (const Thread& thread : capture.image.threads()) EXPECT_TRUE(thread.has_registers);
    const uint64_t now = std::stoull(target.ask("count").value_or("0"));
    EXPECT_GE(now, before);
    before = now;
  }
  EXPECT_GT(before, 200U);
}

// Kills one that captures without end, `times` times, each time at another moment after it began.
void kill_capturers(Target& target, int times, int signal,
                    const std::function<void()>& after_each) {
  std::mt19937 random(20240607);
  std::uniform_int_distribution<int> microseconds(0, 60000);
  for (int i = 0; i < times; ++i) {
    Target capturer(PROGRAM_CAPTURE_REPEATEDLY, {std::to_string(target.pid()), "0"});
    ASSERT_TRUE(capturer.is_ready());
    const auto moment =
        std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds(random));
    while (std::chrono::steady_clock::now() < moment) std::this_thread::yield();
    ::kill(capturer.pid(), signal);
    const int status = capturer.wait();
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    after_each();
  }
}

TEST(LiveRelease, CapturerKilledAtRandomMoments) {
  Target target(PROGRAM_BIG_HEAP, {kMebibytes});
  ASSERT_TRUE(target.is_ready());
  kill_capturers(target, 100, SIGKILL, [&] {
    ASSERT_EQ(target.ask("word"), "word");
    ASSERT_EQ(status_field(target.pid(), "TracerPid"), "0");
  });
}

TEST(LiveRelease, CapturerKilledWhileTheTargetIsStopped) {
  Target target(PROGRAM_BIG_HEAP, {kMebibytes});
  ASSERT_TRUE(target.is_ready());
  ::kill(target.pid(), SIGSTOP);
  ASSERT_TRUE(wait_for_state(target.pid(), 'T'));
  kill_capturers(target, 50, SIGKILL, [&] {
    ASSERT_TRUE(wait_for_state(target.pid(), 'T'));
    ASSERT_EQ(status_field(target.pid(), "State"), "T (stopped)");
  });
  ::kill(target.pid(), SIGCONT);
  EXPECT_EQ(target.ask("word"), "word");
}

TEST(LiveRelease, CapturerTerminatedAtRandomMoments) {
  Target target(PROGRAM_BIG_HEAP, {kMebibytes});
  ASSERT_TRUE(target.is_ready());
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    kill_capturers(target, 20, signal, [&] { ASSERT_EQ(target.ask("word"), "word"); });
  }
}

TEST(LiveRelease, CapturerKilledLosesNoSignal) {
  Target target(PROGRAM_SIGNAL_COUNTER);
  ASSERT_TRUE(target.is_ready());
  SignalSender sender(target.pid());
  kill_capturers(target, 50, SIGKILL, [] {});
  sender.stop();
  EXPECT_EQ(final_count(target, sender.sent()), sender.expected());
}

TEST(LiveRelease, TerminationIsObeyedSoonDuringTheCopy) {
  Target target(PROGRAM_BIG_HEAP, {"512"});
  ASSERT_TRUE(target.is_ready());
  std::vector<std::chrono::steady_clock::duration> delays;
  for (int i = 0; i < 9; ++i) {
    Target capturer(PROGRAM_CAPTURE_REPEATEDLY, {std::to_string(target.pid()), "0"});
    ASSERT_TRUE(wait_for_state(target.pid(), 't')) << "never stopped";
    const auto begin = std::chrono::steady_clock::now();
    ::kill(capturer.pid(), SIGTERM);
    ASSERT_EQ(target.ask("word"), "word");
    delays.push_back(std::chrono::steady_clock::now() - begin);
    EXPECT_TRUE(WIFSIGNALED(capturer.wait()));
  }
  std::sort(delays.begin(), delays.end());
  EXPECT_LT(delays[delays.size() / 2], std::chrono::milliseconds(50));
}

TEST(LiveRelease, OwnHandlersAreRestored) {
  Target target(PROGRAM_ECHO);
  struct sigaction before {};
  struct sigaction after {};
  ::sigaction(SIGINT, nullptr, &before);
  (void)capture_process(target.pid());
  ::sigaction(SIGINT, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

// Each capture either succeeds or finds the process changed under it; the process always carries
// on.
TEST(LiveRelease, ProcessThatReplacesItself) {
  Target target(PROGRAM_EXEC_AGAIN);
  ASSERT_TRUE(target.is_ready());
  int captured = 0;
  for (int i = 0; i < 300; ++i) {
    try {
      captured += capture_process(target.pid()).image.threads().empty() ? 0 : 1;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(captured, 0);
  const uint64_t before = std::stoull(target.ask("count").value_or("0"));
  const uint64_t after = std::stoull(target.ask("count").value_or("0"));
  EXPECT_GT(before, 0U);
  EXPECT_GE(after, before);
  EXPECT_EQ(status_field(target.pid(), "TracerPid"), "0");
}

TEST(LiveRelease, OurOwnChildKilledWhileCaptured) {
  for (int i = 0; i < 50; ++i) {
    Target target(PROGRAM_REGISTERS);
    ASSERT_TRUE(target.is_ready());
    std::thread killer([&] { ::kill(target.pid(), SIGKILL); });
    try {
      (void)capture_process(target.pid());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Acquire);
    }
    killer.join();
    const int status = target.wait();
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }
}

TEST(LiveRelease, TargetKilledWhileCaptured) {
  for (int i = 0; i < 20; ++i) {
    Target target(PROGRAM_BIG_HEAP, {"128"});
    ASSERT_TRUE(target.is_ready());
    Target capturer(PROGRAM_CAPTURE_REPEATEDLY, {std::to_string(target.pid()), "0"});
    ASSERT_TRUE(wait_for_state(target.pid(), 't'));
    ::kill(target.pid(), SIGKILL);
    EXPECT_TRUE(WIFSIGNALED(target.wait()));
    std::optional<std::string> last;
    while (const auto line = capturer.read_line()) last = line;
    EXPECT_TRUE(last && last->starts_with("error ")) << last.value_or("");
    EXPECT_EQ(WEXITSTATUS(capturer.wait()), 3);
  }
}

}  // namespace
}  // namespace heapscan

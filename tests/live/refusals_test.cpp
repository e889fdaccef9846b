// Every way a capture can be refused says what is wrong and what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "heapscan/acquire/capture.h"
#include "heapscan/base/error.h"
#include "live/target.h"

namespace heapscan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Target;
using testing::wait_for_state;

constexpr unsigned kNobody = 65534;

struct Refusal {
  ErrorKind kind = ErrorKind::Usage;
  std::string message;
};

Refusal refusal_of(int pid, const CaptureOptions& options = {}) {
  try {
    (void)capture_process(pid, options);
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {};
}

// The same from a child of ours that has become another user, without any capability.
std::string refusal_as_user(int pid, unsigned uid) {
  int ends[2];
  if (::pipe(ends) != 0) return "pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) ::_exit(1);
    const std::string message = refusal_of(pid).message;
    ::_exit(::write(ends[1], message.data(), message.size()) < 0);
  }
  ::close(ends[1]);
  std::string message;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    message.append(buffer, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return message;
}

TEST(LiveRefusals, NoSuchProcess) {
  const Refusal refusal = refusal_of(0x3fffffff);
  EXPECT_EQ(refusal.kind, ErrorKind::Acquire);
  EXPECT_THAT(refusal.message, HasSubstr("no process 1073741823"));
  EXPECT_EQ(refusal_of(-1).kind, ErrorKind::Acquire);
  EXPECT_EQ(refusal_of(0).kind, ErrorKind::Acquire);
}

TEST(LiveRefusals, Ourselves) { EXPECT_THAT(refusal_of(::getpid()).message, HasSubstr("itself")); }

TEST(LiveRefusals, Zombie) {
  Target target(PROGRAM_ECHO);
  target.close_input();
  ASSERT_TRUE(wait_for_state(target.pid(), 'Z'));
  EXPECT_THAT(refusal_of(target.pid()).message,
              AllOf(HasSubstr("zombie"), HasSubstr("heapscan core FILE")));
}

TEST(LiveRefusals, KernelThread) {
  if (testing::status_field(2, "Name") != "kthreadd")
    GTEST_SKIP() << "no kernel threads in this pid namespace";
  EXPECT_THAT(refusal_of(2).message, HasSubstr("kernel thread"));
}

TEST(LiveRefusals, TracedAlready) {
  Target target(PROGRAM_ECHO);
  Target tracer(PROGRAM_TRACER, {std::to_string(target.pid())});
  ASSERT_TRUE(tracer.is_ready());
  EXPECT_THAT(refusal_of(target.pid()).message,
              AllOf(HasSubstr("traced by process " + std::to_string(tracer.pid())),
                    HasSubstr("live_tracer")));
  EXPECT_EQ(target.ask("word"), "word");
}

TEST(LiveRefusals, OtherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  Target target(PROGRAM_ECHO);
  EXPECT_THAT(refusal_as_user(target.pid(), kNobody),
              AllOf(HasSubstr("belongs to root (uid 0)"), HasSubstr("nobody (uid 65534)"),
                    HasSubstr("sudo")));
}

TEST(LiveRefusals, NotDumpable) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  Target target(PROGRAM_ECHO, {"--user", std::to_string(kNobody), "--undumpable"});
  ASSERT_TRUE(target.is_ready());
  EXPECT_THAT(refusal_as_user(target.pid(), kNobody), HasSubstr("not dumpable"));
  EXPECT_EQ(refusal_of(target.pid()).message, "") << "root may";
}

TEST(LiveRefusals, SameUserMay) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
  if (read_text_file("/proc/sys/kernel/yama/ptrace_scope").starts_with("1")) {
    GTEST_SKIP() << "yama allows descendants only";
  }
  Target target(PROGRAM_ECHO, {"--user", std::to_string(kNobody)});
  ASSERT_TRUE(target.is_ready());
  EXPECT_EQ(refusal_as_user(target.pid(), kNobody), "");
}

TEST(LiveRefusals, ThirtyTwoBitProgram) {
  Target target(PROGRAM_PROGRAM_32BIT);
  if (!target.is_ready()) GTEST_SKIP() << "this kernel runs no 32-bit programs";
  const Refusal refusal = refusal_of(target.pid());
  EXPECT_EQ(refusal.kind, ErrorKind::Unsupported);
  EXPECT_THAT(refusal.message, HasSubstr("32-bit"));
}

TEST(LiveRefusals, VforkParentIsGivenUpAndReleased) {
  Target target(PROGRAM_VFORK_PARENT);
  ASSERT_TRUE(target.is_ready());
  const int parent = std::stoi(target.fact("parent").at(0));
  ASSERT_TRUE(wait_for_state(parent, 'D'));
  const Refusal refusal =
      refusal_of(parent, {.stop_limit = std::chrono::milliseconds(100), .on_estimate = {}});
  EXPECT_EQ(refusal.kind, ErrorKind::Acquire);
  EXPECT_THAT(refusal.message, AllOf(HasSubstr("cannot stop process"), HasSubstr("vfork")));
  EXPECT_EQ(testing::status_field(parent, "TracerPid"), "0");
  target.close_input();
  EXPECT_EQ(target.read_line(), "released");
  EXPECT_EQ(target.wait(), 0);
}

}  // namespace
}  // namespace heapscan

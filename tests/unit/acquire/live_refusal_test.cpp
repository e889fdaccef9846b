// Why attaching is refused, for every cause, also those that this machine cannot show.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "acquire/proc_errors.h"

namespace heapscan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

AccessFacts same_user() {
  AccessFacts facts;
  facts.pid = 4711;
  facts.name = "nginx\x1b[31m";
  facts.our_uid = facts.their_uid = 1000;
  facts.our_user = facts.their_user = "ann";
  facts.error = EPERM;
  return facts;
}

TEST(LiveRefusal, NamesTheProcessSafely) {
  EXPECT_THAT(explain_refusal(same_user()),
              AllOf(HasSubstr("process 4711 (nginx\\x1b[31m)"),
                    HasSubstr("Operation not permitted"), Not(HasSubstr("\x1b"))));
}

TEST(LiveRefusal, OtherUser) {
  AccessFacts facts = same_user();
  facts.their_uid = 33;
  facts.their_user = "www-data";
  facts.uids_differ = true;
  facts.yama_scope = 1;
  EXPECT_THAT(explain_refusal(facts),
              AllOf(HasSubstr("www-data (uid 33)"), HasSubstr("ann (uid 1000)"),
                    HasSubstr("CAP_SYS_PTRACE"), HasSubstr("sudo")));
}

TEST(LiveRefusal, UsersWithoutNames) {
  AccessFacts facts = same_user();
  facts.their_uid = 100033;
  facts.their_user = "";
  facts.uids_differ = true;
  EXPECT_THAT(explain_refusal(facts), HasSubstr("belongs to uid 100033"));
}

TEST(LiveRefusal, NotDumpable) {
  AccessFacts facts = same_user();
  facts.dumpable = false;
  EXPECT_THAT(explain_refusal(facts),
              AllOf(HasSubstr("not dumpable"), HasSubstr("PR_SET_DUMPABLE")));
}

TEST(LiveRefusal, MoreCapabilities) {
  AccessFacts facts = same_user();
  facts.has_capabilities_we_lack = true;
  EXPECT_THAT(explain_refusal(facts), HasSubstr("capabilities"));
}

TEST(LiveRefusal, Yama) {
  AccessFacts facts = same_user();
  facts.yama_scope = 1;
  EXPECT_THAT(explain_refusal(facts), AllOf(HasSubstr("ptrace_scope is 1"),
                                            HasSubstr("sysctl kernel.yama.ptrace_scope=0")));
  facts.yama_scope = 2;
  EXPECT_THAT(explain_refusal(facts), AllOf(HasSubstr("ptrace_scope is 2"), HasSubstr("root")));
  facts.yama_scope = 3;
  EXPECT_THAT(explain_refusal(facts), AllOf(HasSubstr("ptrace_scope is 3"), HasSubstr("boot")));
  facts.we_may_trace_anything = true;
  EXPECT_THAT(explain_refusal(facts), HasSubstr("ptrace_scope is 3"));
}

TEST(LiveRefusal, UserNamespace) {
  AccessFacts facts = same_user();
  facts.we_are_in_user_namespace = true;
  EXPECT_THAT(explain_refusal(facts), HasSubstr("user namespace"));
  facts.we_may_trace_anything = true;
  EXPECT_THAT(explain_refusal(facts),
              AllOf(HasSubstr("user namespace"), HasSubstr("root on the host")));
}

TEST(LiveRefusal, SecurityModule) {
  AccessFacts facts = same_user();
  facts.we_may_trace_anything = true;
  EXPECT_THAT(explain_refusal(facts), AllOf(HasSubstr("SELinux"), HasSubstr("seccomp")));
}

}  // namespace
}  // namespace heapscan

// The other texts of /proc that the live door reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "acquire/kernel_references.h"
#include "acquire/proc_files.h"

namespace heapscan {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(LiveParsers, Status) {
  const auto status = parse_status(
      "Name:\tmy server\nUmask:\t0022\nState:\tt (tracing "
      "stop)\nTgid:\t4711\nPid:\t4712\nPPid:\t1\nTracerPid:\t99\n"
      "Uid:\t1000\t1001\t1002\t1003\nThreads:\t12\nCapPrm:\t0000000000080000\nCapEff:"
      "\t0000000000000001\nSeccomp:\t2\nSeccomp_filters:\t3\nx86_Thread_features:\tshstk wrss\n");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, 't');
  EXPECT_EQ(status->tgid, 4711);
  EXPECT_EQ(status->parent, 1);
  EXPECT_EQ(status->tracer, 99);
  EXPECT_EQ(status->threads, 12);
  EXPECT_THAT(status->uids, ::testing::ElementsAre(1000, 1001, 1002, 1003));
  EXPECT_EQ(status->permitted_capabilities, 0x80000U);
  EXPECT_EQ(status->effective_capabilities, 1U);
  EXPECT_EQ(status->seccomp_mode, 2);
  EXPECT_TRUE(status->has_shadow_stack);
}

TEST(LiveParsers, StatusThatIsNone) {
  for (const char* text :
       {"", "\n\n", "State:\n", "State: \n", "Tgid:\n", "Tgid: x\n", "Tgid", ":::"}) {
    EXPECT_FALSE(parse_status(text)) << text;
  }
}

TEST(LiveParsers, StatWithAHostileName) {
  const auto stat =
      parse_stat("42 (a) R 1 (b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name, "a) R 1 (b");
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->flags, 4194560U);
  EXPECT_EQ(stat->processor_ticks, 5U + 6U);
  EXPECT_EQ(stat->start_time, 987654U);
  EXPECT_FALSE(stat->is_kernel_thread());
  EXPECT_FALSE(stat->is_kernel_worker());
  EXPECT_FALSE(stat->is_dead());
}

TEST(LiveParsers, StatFlagsTellKernelThreadsAndWorkers) {
  const auto with_flags = [](const std::string& flags) {
    return parse_stat("2 (x) Z 0 0 0 0 -1 " + flags + " 0 0 0 0 0 0 0 0 20 0 1 0 5 0").value();
  };
  EXPECT_TRUE(with_flags("2129984").is_kernel_thread());
  EXPECT_TRUE(with_flags("4210752").is_kernel_worker());
  EXPECT_TRUE(with_flags("16").is_kernel_worker());
  EXPECT_TRUE(with_flags("0").is_dead());
}

TEST(LiveParsers, StatThatIsNone) {
  for (const char* text :
       {"", "(", ")(", "1 (x)", "1 (x) ", "1 (x) S 1 2 3", "1 (x) SS 1 1 1 1 1 1 1 1"}) {
    EXPECT_FALSE(parse_stat(text)) << text;
  }
}

TEST(LiveParsers, EpollDescriptors) {
  const auto found = parse_epoll_fdinfo(
      7,
      "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1057\n"
      "tfd:        5 events:       19 data: 7fffe9011000  pos:0 ino:61af sdev:7\n"
      "tfd:       12 events:       19 data: ffffffffffffffff  pos:0 ino:1 sdev:8\n"
      "tfd:       13 events:       19\n"
      "tfd: data: 1\n"
      "tfd:       14 events: 1 data: zz\n"
      "tfd:       15 events: 1 data: 11111111111111111\n");
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].value, 0x7fffe9011000U);
  EXPECT_EQ(found[0].kind, KernelReference::Kind::Epoll);
  EXPECT_EQ(found[0].detail, "epoll fd 7 watching fd 5");
  EXPECT_EQ(found[1].value, ~uint64_t{0});
  EXPECT_THAT(parse_epoll_fdinfo(7, ""), IsEmpty());
}

TEST(LiveParsers, Timers) {
  const auto found = parse_timers(
      "ID: 0\nsignal: 34/00007fffe9022000\nnotify: signal/pid.42\nClockID: 1\n"
      "ID: 3\nsignal: 0/0000000000000000\nnotify: none/pid.42\nClockID: 0\n"
      "ID: 4\nsignal: 34\nID: 5\nsignal: 34/\n");
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].value, 0x7fffe9022000U);
  EXPECT_EQ(found[0].kind, KernelReference::Kind::Timer);
  EXPECT_EQ(found[0].detail, "POSIX timer 0");
  EXPECT_EQ(found[1].detail, "POSIX timer 3");
}

TEST(LiveParsers, IoUring) {
  const RingReferences found = parse_io_uring_fdinfo(
      9,
      "pos:\t0\nSqMask:\t0x3f\nSqHead:\t20\nSqTail:\t21\nCachedSqHead:\t20\nCqMask:\t0x7f\n"
      "CqHead:\t4\nCqTail:\t5\nCachedCqTail:\t5\nSQEs:\t1\n"
      "   20: opcode:READ, fd:5, flags:0, off:0, addr:0x7fffe9011000, rw_flags:0x0, buf_index:0 "
      "user_data:140737103327232\n"
      "CQEs:\t1\n    4: user_data:255, res:0, flags:0\n"
      "SqThread:\t-1\nUserFiles:\t0\nUserBufs:\t1\n    0: 0x7fffe9022000/4096\n"
      "PollList:\n  op=6, task_works=0\nCqOverflowList:\n  user_data=77, res=1, flags=0\n");
  std::vector<uint64_t> values;
  for (const KernelReference& word : found.words) values.push_back(word.value);
  EXPECT_THAT(values, testing::UnorderedElementsAre(0x7fffe9011000, 140737103327232, 255,
                                                    0x7fffe9022000, 77));
  EXPECT_EQ(found.in_flight, 15U);
  EXPECT_EQ(found.words[0].kind, KernelReference::Kind::IoUring);
}

TEST(LiveParsers, RequestsThatCompleteOftenAreInTheListOfPolls) {
  EXPECT_EQ(parse_io_uring_fdinfo(9,
                                  "SqHead:\t2\nCqTail:\t90\nPollList:\n  op=6, a\n  op=6, b\n"
                                  "CqOverflowList:\n")
                .in_flight,
            2U);
  EXPECT_EQ(parse_io_uring_fdinfo(9, "SqHead:\t7\nCqTail:\t7\nPollList:\n").in_flight, 0U);
  EXPECT_EQ(parse_io_uring_fdinfo(9, "").in_flight, 0U);
}

TEST(LiveParsers, LocalSockets) {
  EXPECT_THAT(parse_local_sockets(
                  "Num       RefCount Protocol Flags    Type St Inode Path\n"
                  "ffff8d1a2b3c4d00: 00000002 00000000 00010000 0001 01 18642 /run/x\n"
                  "0000000000000000: 00000003 00000000 00000000 0001 03 17001\nshort line\n"),
              testing::ElementsAre(17001, 18642));
}

}  // namespace
}  // namespace heapscan

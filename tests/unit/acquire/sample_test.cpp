#include "heapscan/acquire/sample.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "acquire/proc_files.h"

namespace heapscan {
namespace {

constexpr const char* kStatus =
    "Name:\tserver\nVmHWM:\t  9000 kB\nVmRSS:\t    4000 kB\nRssAnon:\t    2000 kB\n"
    "RssFile:\t    1500 kB\nRssShmem:\t     500 kB\nVmSwap:\t      64 kB\nThreads:\t9\n";
constexpr const char* kRollup =
    "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:                4004 kB\n"
    "Pss:                3003 kB\nPss_Anon:           1000 kB\nAnonymous:          2002 kB\n"
    "AnonHugePages:         0 kB\nSwap:                 65 kB\nSwapPss:              65 kB\n";

TEST(Sample, IsReadFromWhatTheKernelAddsUp) {
  const auto sample = parse_sample(kStatus, kRollup);
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->resident, 4004U * 1024);
  EXPECT_EQ(sample->proportional, 3003U * 1024);
  EXPECT_EQ(sample->anonymous, 2002U * 1024);
  EXPECT_EQ(sample->shared, 500U * 1024);
  EXPECT_EQ(sample->swapped, 65U * 1024);
  EXPECT_EQ(sample->threads, 9U);
  EXPECT_EQ(sample->held(), (2002U + 500 + 65) * 1024);
}

TEST(Sample, DoesWithoutARollup) {
  const auto sample = parse_sample(kStatus, "");
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->resident, 4000U * 1024);
  EXPECT_FALSE(sample->proportional);
  EXPECT_EQ(sample->anonymous, 2000U * 1024);
  EXPECT_EQ(sample->swapped, 64U * 1024);
}

TEST(Sample, NeedsAProcessWithMemory) {
  EXPECT_FALSE(parse_sample("", ""));
  EXPECT_FALSE(parse_sample("Name:\tkthreadd\nThreads:\t1\n", ""));
  EXPECT_FALSE(parse_sample("VmRSS:\t99999999999999999999 kB\n", ""));
}

TEST(Sample, OfOurselves) {
  const auto sample = sample_memory(::getpid());
  ASSERT_TRUE(sample);
  EXPECT_GT(sample->resident, 0U);
  EXPECT_GT(sample->anonymous, 0U);
  EXPECT_GE(sample->resident, sample->anonymous);
}

const ProcessStamp kStamp{4711, "server", 100, "aux of one exec", "/usr/sbin/server"};

TEST(Stamp, TellsWhatBecameOfAProcess) {
  EXPECT_EQ(what_became(kStamp, kStamp), Became::Itself);
  EXPECT_EQ(what_became(kStamp, std::nullopt), Became::Ended);
  ProcessStamp other = kStamp;
  other.aux = "aux of another";
  EXPECT_EQ(what_became(kStamp, other), Became::OtherProgram);
  other.start_time = 200;
  EXPECT_EQ(what_became(kStamp, other), Became::OtherProcess);
}

// An update of the package moves the file away; where /proc hides the vector, the file is all there is.
TEST(Stamp, GoesByTheFileOnlyWhereNothingElseTells) {
  ProcessStamp moved = kStamp;
  moved.executable += " (deleted)";
  EXPECT_EQ(what_became(kStamp, moved), Became::Itself);
  moved.aux.clear();
  EXPECT_EQ(what_became(kStamp, moved), Became::OtherProgram);
}

TEST(Stamp, OfOurselves) {
  const auto stamp = stamp_of(::getpid());
  ASSERT_TRUE(stamp);
  EXPECT_EQ(stamp->pid, ::getpid());
  EXPECT_FALSE(stamp->aux.empty());
  EXPECT_EQ(what_became(*stamp, stamp_of(::getpid())), Became::Itself);
  EXPECT_FALSE(stamp_of(0x7fffffff));
}

TEST(Limits, EndWithThoseOfTheMachine) {
  const std::vector<MemoryLimit> limits = find_memory_limits(::getpid());
  ASSERT_FALSE(limits.empty());
  EXPECT_EQ(limits.back().name, "the machine");
  EXPECT_GT(limits.back().limit, limits.back().used);
}

}  // namespace
}  // namespace heapscan

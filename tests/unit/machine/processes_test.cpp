#include "heapscan/machine/processes.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

constexpr uint64_t kBytesOfPage = 4096;

ProcessMemory process(int pid, uint64_t start_time, uint64_t anonymous, uint64_t swapped = 0) {
  ProcessMemory memory;
  memory.pid = pid;
  memory.start_time = start_time;
  memory.anonymous = anonymous;
  memory.swapped = swapped;
  return memory;
}

TEST(ProcessMemoryText, OfStatus) {
  const auto memory = parse_process_memory(
      "Name:\tredis server\nVmRSS:\t  100 kB\nRssAnon:\t 60 kB\nRssFile:\t 30 kB\nRssShmem:\t 10 "
      "kB\n"
      "VmSwap:\t 5 kB\n",
      "", kBytesOfPage);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->name, "redis server");
  EXPECT_EQ(memory->resident, 100 * 1024);
  EXPECT_EQ(memory->anonymous, 60 * 1024);
  EXPECT_EQ(memory->files, 30 * 1024);
  EXPECT_EQ(memory->shared, 10 * 1024);
  EXPECT_EQ(memory->held(), 65 * 1024);
}

TEST(ProcessMemoryText, OfKernelsThatDoNotPartIt) {
  const auto memory =
      parse_process_memory("Name:\tx\nVmRSS:\t400 kB\n", "500 100 40 1 0 60 0", kBytesOfPage);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->files, 160 * 1024);
  EXPECT_EQ(memory->anonymous, 240 * 1024);
  const auto lying = parse_process_memory("VmRSS:\t4 kB\n", "1 1 18446744073709551615", kBytesOfPage);
  ASSERT_TRUE(lying);
  EXPECT_LE(lying->files + lying->anonymous, 4096);
}

TEST(ProcessMemoryText, KernelThreadsHaveNone) {
  EXPECT_FALSE(parse_process_memory("Name:\tkthreadd\nThreads:\t1\n", "0 0 0", kBytesOfPage));
  EXPECT_FALSE(parse_process_memory("", "", kBytesOfPage));
  EXPECT_FALSE(parse_process_memory("VmRSS: 99999999999999999999 kB\n", "", kBytesOfPage));
}

TEST(Rollup, ByKind) {
  const auto shares = parse_rollup(
      "00400000-7fff ---p 0 00:00 0 [rollup]\nRss: 9 kB\nPss: 8 kB\nPss_Anon: 5 kB\nPss_File: 2 "
      "kB\n"
      "Pss_Shmem: 1 kB\nSwapPss: 3 kB\n");
  ASSERT_TRUE(shares);
  EXPECT_EQ(shares->anonymous, 5 * 1024);
  EXPECT_EQ(shares->files, 2 * 1024);
  EXPECT_EQ(shares->shared, 1024);
  EXPECT_EQ(shares->swapped, 3 * 1024);
  EXPECT_FALSE(parse_rollup("Rss: 9 kB\nPss: 8 kB\n")) << "a kernel before 5.4";
}

TEST(ProcessChanges, ByPidAndStart) {
  const ProcessChanges changes =
      compare_processes({process(1, 10, 100), process(2, 20, 500), process(3, 30, 7)},
                        {process(1, 10, 150, 8), process(2, 99, 900), process(4, 40, 1)});
  ASSERT_EQ(changes.growth.size(), 3);
  EXPECT_EQ(changes.growth[0], 58) << "swap is growth, too";
  EXPECT_EQ(changes.growth[1], std::nullopt) << "another process of that pid";
  EXPECT_EQ(changes.growth[2], std::nullopt);
  EXPECT_EQ(changes.begun, 2);
  ASSERT_EQ(changes.ended.size(), 2);
  EXPECT_EQ(changes.ended[0].pid, 2);
  EXPECT_EQ(changes.ended[1].pid, 3);
}

}  // namespace
}  // namespace heapscan

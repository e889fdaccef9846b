#include "heapscan/machine/account.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace heapscan {
namespace {

constexpr int64_t kKib = 1024;
constexpr int64_t kMib = 1024 * kKib;

MachineFacts facts_of(std::string_view meminfo) {
  MachineFacts facts;
  facts.memory = parse_meminfo(meminfo);
  return facts;
}

int64_t sum_of(const MachineAccount& account) {
  return std::accumulate(account.bytes.begin(), account.bytes.end(), int64_t{0});
}

TEST(Meminfo, SizesAreBytesAndCountsAreCounts) {
  const MemInfo info = parse_meminfo("MemTotal:       2048 kB\nHugePages_Total:      12\n");
  EXPECT_EQ(info.find("MemTotal"), 2048 * 1024);
  EXPECT_EQ(info.find("HugePages_Total"), 12);
  EXPECT_EQ(info.find("MemFree"), std::nullopt);
  EXPECT_EQ(info.of("MemFree"), 0);
}

TEST(Meminfo, WhatCannotBeTrueIsLeftOut) {
  const MemInfo info = parse_meminfo(
      "MemTotal: 18446744073709551615 kB\nMemFree: 99999999999999999999 kB\nCached: -3 kB\n"
      "Slab: 12x kB\nBuffers:\n:\nno colon\nShmem: 5 kB");
  EXPECT_EQ(info.values.size(), 1);
  EXPECT_EQ(info.of("Shmem"), 5 * 1024);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "K" + std::to_string(i) + ": 1 kB\n";
  EXPECT_LT(parse_meminfo(many).values.size(), 1000) << "bounded";
}

TEST(MachineAccount, NothingIsCountedTwice) {
  MachineFacts facts = facts_of(
      "MemTotal: 10000 kB\nMemFree: 1000 kB\nBuffers: 100 kB\nCached: 2000 kB\nShmem: 500 kB\n"
      "AnonPages: 3000 kB\nSlab: 900 kB\nSReclaimable: 600 kB\nSUnreclaim: 300 kB\n"
      "KReclaimable: 650 kB\nKernelStack: 40 kB\nVmallocUsed: 140 kB\nPageTables: 60 kB\n"
      "Percpu: 20 kB\nHugetlb: 2048 kB\nHugePages_Total: 1\nHugepagesize: 2048 kB\n");
  facts.huge_pools.push_back({2048 * 1024, 1, 1, 0});
  const MachineAccount account = account_for(facts);
  EXPECT_EQ(account.of(MachineUse::FileCache), 1600 * kKib) << "cache without shared memory";
  EXPECT_EQ(account.of(MachineUse::SharedMemory), 500 * kKib);
  EXPECT_EQ(account.of(MachineUse::OtherReclaimable), 50 * kKib);
  EXPECT_EQ(account.of(MachineUse::Vmalloc), 100 * kKib) << "without stacks";
  EXPECT_EQ(account.of(MachineUse::HugePages), 2048 * kKib) << "once";
  EXPECT_EQ(account.left_over(),
            (10000 - 1000 - 1600 - 500 - 3000 - 600 - 300 - 50 - 40 - 100 - 60 - 20 - 2048) * kKib);
  EXPECT_EQ(sum_of(account), 10000 * kKib);
  EXPECT_TRUE(account.knows_vmalloc);
}

TEST(MachineAccount, AddsUpWhateverTheTextSays) {
  for (const char* const text :
       {"MemTotal: 1 kB\nMemFree: 70368744177664 kB\n", "MemTotal: 100 kB\nShmem: 50 kB\n",
        "MemTotal: 100 kB\nCached: 50 kB\nShmem: 80 kB\nSwapCached: 7 kB\nActive: 9 kB\n",
        "MemTotal: 100 kB\nKernelStack: 50 kB\nVmallocUsed: 8 kB\nBalloon: 99999 kB\n", ""}) {
    MachineFacts facts = facts_of(text);
    facts.free_list_pages = UINT64_MAX;
    facts.zram.push_back({"zram0", 1, UINT64_MAX});
    facts.huge_pools.push_back({uint64_t{1} << 40, UINT64_MAX, 0, 0});
    const MachineAccount account = account_for(facts);
    EXPECT_EQ(sum_of(account), static_cast<int64_t>(account.total)) << text;
  }
}

TEST(MachineAccount, SwapCacheThatNobodyMaps) {
  const MachineAccount account = account_for(
      facts_of("MemTotal: 10000 kB\nActive: 3000 kB\nInactive: 2000 kB\nUnevictable: 100 kB\n"
               "AnonPages: 4000 kB\nCached: 800 kB\nBuffers: 100 kB\nSwapCached: 500 kB\n"));
  EXPECT_EQ(account.of(MachineUse::SwapCache), 200 * kKib);
}

TEST(MachineAccount, VmallocOfKernelsThatDoNotSay) {
  MachineFacts facts = facts_of("MemTotal: 10000 kB\nVmallocUsed: 0 kB\nKernelStack: 16 kB\n");
  EXPECT_FALSE(account_for(facts).knows_vmalloc);
  facts.vmalloc = VmallocUse{100 * kKib, 16 * kKib, {}};
  EXPECT_TRUE(account_for(facts).knows_vmalloc);
  EXPECT_EQ(account_for(facts).of(MachineUse::Vmalloc), 84 * kKib);
}

TEST(MachineAccount, ABalloonIsInsideOnlyWhereItCanBe) {
  const MachineAccount inside =
      account_for(facts_of("MemTotal: 1000 kB\nMemFree: 300 kB\nBalloon: 600 kB\n"));
  EXPECT_EQ(inside.of(MachineUse::Balloon), 600 * kKib);
  EXPECT_EQ(inside.left_over(), 100 * kKib);
  const MachineAccount outside =
      account_for(facts_of("MemTotal: 1000 kB\nMemFree: 900 kB\nBalloon: 600 kB\n"));
  EXPECT_EQ(outside.of(MachineUse::Balloon), 0);
  EXPECT_EQ(outside.balloon_outside, 600 * 1024);
}

TEST(MachineAccount, WhatIsMuch) {
  MachineAccount account;
  account.total = uint64_t{512} << 20;
  EXPECT_EQ(account.much(), 128 * kMib);
  account.total = uint64_t{32} << 30;
  EXPECT_EQ(account.much(), (int64_t{32} << 30) / 20);
  account.total = uint64_t{2} << 40;
  EXPECT_EQ(account.much(), int64_t{8} << 30);
  account.bytes.back() = account.much();
  EXPECT_FALSE(account.leaves_much());
  ++account.bytes.back();
  EXPECT_TRUE(account.leaves_much());
}

TEST(MachineUses, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (size_t i = 0; i < kMachineUses; ++i) names.insert(name_of(static_cast<MachineUse>(i)));
  EXPECT_EQ(names.size(), kMachineUses);
}

}  // namespace
}  // namespace heapscan

#include "heapscan/report/triage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heapscan {
namespace {

constexpr uint64_t kMebi = uint64_t{1} << 20;

ProcessMemory process_of(int pid, const std::string& name, uint64_t anonymous) {
  ProcessMemory process;
  process.pid = pid;
  process.start_time = 1;
  process.name = name;
  process.resident = process.anonymous = anonymous;
  return process;
}

// 1 GiB, of which 512 MiB are held by processes.
MachineFacts machine_of(std::vector<ProcessMemory> processes) {
  MachineFacts facts;
  facts.memory = parse_meminfo(
      "MemTotal: 1048576 kB\nMemAvailable: 104858 kB\nMemFree: 524288 kB\nAnonPages: 524288 kB\n");
  facts.processes = std::move(processes);
  return facts;
}

std::vector<int> pids_of(const TriageReport& report) {
  std::vector<int> pids;
  for (const TriageProcess& process : report.processes.top) pids.push_back(process.memory.pid);
  return pids;
}

TriageOptions few_rows() {
  TriageOptions options;
  options.top = 1;
  options.own_pid = 99;
  options.command = "heapscan triage";
  return options;
}

TEST(Triage, NamesTheLargestWhoeverGrew) {
  const MachineFacts before =
      machine_of({process_of(1, "large", 400 * kMebi), process_of(2, "small", 10 * kMebi)});
  const MachineFacts now =
      machine_of({process_of(1, "large", 400 * kMebi), process_of(2, "small", 30 * kMebi)});
  const TriageReport report = describe_triage(now, {&before, 60}, few_rows());
  EXPECT_EQ(pids_of(report), std::vector<int>{2});
  EXPECT_EQ(
      report.summary,
      "10 % of 1.0 GiB is available; processes hold 50 % (512.0 MiB), large (1) the most with "
      "400.0 MiB");
  ASSERT_EQ(report.next.size(), 1U);
  EXPECT_EQ(report.next[0].command, "heapscan attach 2");
  EXPECT_EQ(report.next[0].reason, "small grows: +20.0 MiB/min");
}

TEST(Triage, WhatBeganMeanwhileGrewByAllOfIt) {
  const MachineFacts before = machine_of({process_of(1, "old", 100 * kMebi)});
  const MachineFacts now =
      machine_of({process_of(1, "old", 105 * kMebi), process_of(2, "new", 50 * kMebi)});
  TriageOptions options = few_rows();
  options.top = 5;
  const TriageReport report = describe_triage(now, {&before, 60}, options);
  EXPECT_EQ(pids_of(report), (std::vector<int>{2, 1}));
  EXPECT_TRUE(report.processes.top[0].is_new);
  EXPECT_EQ(report.processes.begun, 1U);
}

TEST(Triage, SendsNobodyToLookAtHeapscan) {
  const TriageReport report = describe_triage(
      machine_of({process_of(99, "heapscan", 500 * kMebi), process_of(1, "x", kMebi)}), {},
      few_rows());
  EXPECT_EQ(report.next.front().command, "heapscan attach 1");
  EXPECT_EQ(describe_triage(machine_of({process_of(99, "heapscan", kMebi)}), {}, few_rows())
                .next.front()
                .command,
            "heapscan triage --seconds 30");
}

TEST(Triage, SaysWhatBelongsToProcessesThatCannotBeSeen) {
  const TriageReport report =
      describe_triage(machine_of({process_of(1, "sh", kMebi)}), {}, few_rows());
  EXPECT_EQ(report.processes.unseen, 511 * kMebi);
  EXPECT_THAT(report.summary, testing::EndsWith(", 511.0 MiB of it processes that cannot be seen "
                                                "from here"));
}

TEST(Triage, CountsSharesWhereTheyAreKnown) {
  ProcessMemory half = process_of(1, "worker", 512 * kMebi);
  half.proportional = ProportionalMemory{256 * kMebi, 0, 0, 0};
  ProcessMemory other = half;
  other.pid = 2;
  const TriageReport report = describe_triage(machine_of({half, other}), {}, few_rows());
  EXPECT_EQ(report.processes.anonymous, 512 * kMebi);
  EXPECT_EQ(report.processes.with_shares, 2U);
  EXPECT_EQ(report.processes.unseen, 0U);
}

TEST(Triage, SaysOfEachGapWhetherItIsForWantOfRightsOrOfTime) {
  MachineFacts facts = machine_of({});
  facts.outcomes["/proc/slabinfo"] = ReadOutcome::Refused;
  facts.outcomes["/proc/vmallocinfo"] = ReadOutcome::Absent;
  facts.rollups_refused = 1;
  facts.rollups_skipped = 3;
  facts.descriptors_refused = 2;
  facts.cgroups_cut = true;
  const TriageReport report = describe_triage(facts, {}, few_rows());
  EXPECT_THAT(report.not_read, testing::ElementsAre("/proc/slabinfo", "shared pages of 1 process",
                                                    "open files of 2 processes"));
  EXPECT_THAT(report.left_out, testing::ElementsAre("shared pages of 3 processes", "some cgroups"));
}

}  // namespace
}  // namespace heapscan

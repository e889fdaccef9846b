// Which kinds a report of changes shows, and in which order.
#include "heapscan/report/changes.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

ChangeRow grown(const char* label, uint64_t bytes, VerdictTotal lost_before,
                VerdictTotal lost_now) {
  ChangeRow row;
  row.label = label;
  row.change.is = {bytes / 16, bytes};
  row.change.lost_before = lost_before;
  row.change.lost_now = lost_now;
  return row;
}

std::vector<std::string> shown(std::vector<ChangeRow> rows, size_t top) {
  ChangeReport report;
  report.rows = std::move(rows);
  const size_t all = report.rows.size();
  show_largest(report, top);
  EXPECT_EQ(report.rows.size() + report.left_out, all);
  std::vector<std::string> labels;
  for (const ChangeRow& row : report.rows) labels.push_back(row.label);
  return labels;
}

TEST(WhoHoldsNewOnes, SaysThatNobodyHoldsWhatIsLeaked) {
  ChangeRow row = grown("job", 9000, {}, {});
  row.holder = "shop: queue";
  EXPECT_EQ(who_holds_new_ones(row), "new ones are held by shop: queue");
  row.change.lost_now = {1, 48};
  EXPECT_EQ(who_holds_new_ones(row), "new ones that are not leaked are held by shop: queue");
}

TEST(ShowLargest, WhatLeaksComesFirstByWhatMoreIsLost) {
  const std::vector<ChangeRow> rows = {
      grown("held", 9000, {}, {}), grown("lost of old", 800, {10, 160}, {10, 160}),
      grown("leaks less", 700, {0, 0}, {2, 32}), grown("leaks more", 600, {1, 16}, {9, 144})};
  EXPECT_EQ(shown(rows, 10),
            (std::vector<std::string>{"leaks more", "leaks less", "held", "lost of old"}));
}

TEST(ShowLargest, OneLostBlockMoreMovesNothing) {
  EXPECT_EQ(shown({grown("held", 9000, {}, {}), grown("one", 700, {4, 64}, {5, 80})}, 10),
            (std::vector<std::string>{"held", "one"}));
}

TEST(ShowLargest, LeaksLeaveRoomForWhatGrowsMost) {
  std::vector<ChangeRow> rows = {grown("held", 9000, {}, {}), grown("also held", 8000, {}, {})};
  for (const char* label : {"a", "b", "c"}) rows.push_back(grown(label, 100, {}, {3, 48}));
  EXPECT_EQ(shown(rows, 3), (std::vector<std::string>{"a", "b", "held"}));
  EXPECT_EQ(shown(rows, 0), std::vector<std::string>{});
}

}  // namespace
}  // namespace heapscan

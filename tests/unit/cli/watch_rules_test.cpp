#include "cli/watch_process.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(WatchRules, ALookTakesGrowthOfAShareAndOfSomeMiB) {
  EXPECT_TRUE(warrants_look({40 * kMiB, 45 * kMiB, 100, 0.1}));
  EXPECT_FALSE(warrants_look({40 * kMiB, 43 * kMiB, 100, 0.1})) << "3 MiB";
  EXPECT_FALSE(warrants_look({1000 * kMiB, 1040 * kMiB, 100, 0.1})) << "4 %";
  EXPECT_TRUE(warrants_look({1000 * kMiB, 1050 * kMiB, 100, 0.1}));
  EXPECT_TRUE(warrants_look({0, 4 * kMiB, 100, 0.1}));
  EXPECT_FALSE(warrants_look({40 * kMiB, 20 * kMiB, 100, 0.1})) << "it shrank";
}

TEST(WatchRules, AtMostATenthOfTheTimeIsSpentOnLooks) {
  EXPECT_FALSE(warrants_look({40 * kMiB, 80 * kMiB, 49, 5}));
  EXPECT_TRUE(warrants_look({40 * kMiB, 80 * kMiB, 50, 5}));
}

TEST(WatchRules, StopsAreBoundedSinglyAndInAll) {
  EXPECT_EQ(why_not_stop({}, 100, 100), "");
  EXPECT_EQ(why_not_stop({0.05, std::nullopt}, 0.04, 10), "");
  EXPECT_EQ(why_not_stop({0.05, std::nullopt}, 0.06, 0),
            "it is expected to stop the process for 60.0 ms, and --max-pause is 50");
  EXPECT_EQ(why_not_stop({std::nullopt, 0.1}, 0.04, 0.05), "");
  EXPECT_EQ(why_not_stop({std::nullopt, 0.1}, 0.04, 0.07),
            "it is expected to stop the process for 40.0 ms, which makes 110.0 ms in all, and "
            "--max-stopped is 100");
}

TEST(WatchRules, VeryManyPointsAreThinned) {
  std::vector<RatePoint> points;
  for (size_t i = 0; i < 200000; ++i) add_point(points, {static_cast<double>(i), 0});
  EXPECT_LT(points.size(), 65536U);
  EXPECT_GT(points.size(), 10000U);
  EXPECT_EQ(points.front().seconds, 0);
  EXPECT_EQ(points.back().seconds, 199999);
  for (size_t i = 1; i < points.size(); ++i) EXPECT_GT(points[i].seconds, points[i - 1].seconds);
}

TEST(WatchRules, SamplesThatWereMissedAreLeftOut) {
  EXPECT_EQ(next_due(0, 10), 10);
  EXPECT_EQ(next_due(9.5, 10), 10);
  EXPECT_EQ(next_due(10, 10), 20);
  EXPECT_EQ(next_due(47, 10), 50);
  EXPECT_EQ(next_due(-1, 10), 10);
}

}  // namespace
}  // namespace heapscan

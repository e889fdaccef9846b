#include "heapscan/diff/rate.h"

#include <gtest/gtest.h>

#include <functional>

namespace heapscan {
namespace {

std::vector<RatePoint> points(size_t count, const std::function<double(size_t)>& bytes) {
  std::vector<RatePoint> result;
  for (size_t i = 0; i < count; ++i) result.push_back({static_cast<double>(i) * 10, bytes(i)});
  return result;
}

// Numbers that look random and are the same everywhere; between -1 and 1.
double noise(size_t i) {
  const uint64_t mixed = (i + 1) * 0x9e3779b97f4a7c15 >> 11;
  return static_cast<double>(mixed) / static_cast<double>(uint64_t{1} << 52) - 1;
}

TEST(Rate, OfALineIsItsSlope) {
  const auto rate =
      fit_rate(points(10, [](size_t i) { return 1000 + 50.0 * static_cast<double>(i); }));
  ASSERT_TRUE(rate);
  EXPECT_NEAR(rate->per_second, 5, 1e-9);
  EXPECT_NEAR(rate->low, 5, 1e-6);
  EXPECT_TRUE(rate->grows());
  EXPECT_EQ(rate->points, 10U);
  EXPECT_EQ(rate->seconds, 90);
}

TEST(Rate, OfNoiseIsNoGrowth) {
  const auto rate = fit_rate(points(60, [](size_t i) { return 1e6 + 1e4 * noise(i); }));
  ASSERT_TRUE(rate);
  EXPECT_FALSE(rate->grows() || rate->shrinks()) << rate->low << " " << rate->high;
}

TEST(Rate, OfWhatStaysIsZero) {
  const auto rate = fit_rate(points(60, [](size_t) { return 1e6; }));
  ASSERT_TRUE(rate);
  EXPECT_EQ(rate->per_second, 0);
  EXPECT_FALSE(rate->grows() || rate->shrinks());
}

TEST(Rate, OfGrowthInNoiseIsWithinItsInterval) {
  const auto rate = fit_rate(
      points(60, [](size_t i) { return 1e6 + 100.0 * static_cast<double>(i) + 1e3 * noise(i); }));
  ASSERT_TRUE(rate);
  EXPECT_TRUE(rate->grows());
  EXPECT_LE(rate->low, 10);
  EXPECT_GE(rate->high, 10);
}

TEST(Rate, OfFewPointsOrOfNoTimeIsNotKnown) {
  const auto line = points(5, [](size_t i) { return static_cast<double>(i); });
  EXPECT_FALSE(fit_rate(line));
  EXPECT_FALSE(fit_rate({}));
  EXPECT_FALSE(fit_rate(std::vector<RatePoint>(10, RatePoint{7, 7})));
}

// One step in sixty samples: growth, but nobody can say at what rate.
TEST(Rate, StepsMakeTheIntervalWide) {
  const auto one = points(60, [](size_t i) { return i < 30 ? 0.0 : 1e6; });
  EXPECT_FALSE(fit_rate(one));
  const auto steps = points(120, [](size_t i) { return 1e5 * static_cast<double>(i / 3); });
  const auto smooth = points(120, [](size_t i) { return 1e5 * static_cast<double>(i) / 3; });
  const auto of_steps = fit_rate(steps);
  const auto of_smooth = fit_rate(smooth);
  ASSERT_TRUE(of_steps && of_smooth);
  EXPECT_TRUE(of_steps->grows());
  EXPECT_GT(of_steps->high - of_steps->low, of_smooth->high - of_smooth->low);
}

TEST(Rate, OfACacheThatHasFilledIsThatOfTheSecondHalf) {
  const auto filling = points(80, [](size_t i) {
    return 1e5 * static_cast<double>(std::min<size_t>(i, 30)) + 500 * noise(i);
  });
  const auto latest = fit_latest_rate(filling);
  ASSERT_TRUE(latest);
  EXPECT_TRUE(latest->is_of_second_half);
  EXPECT_FALSE(latest->rate.grows());
  const auto nearly = fit_latest_rate(points(80, [](size_t i) {
    const double kink = i > 40 ? 2e3 * static_cast<double>(i - 40) : 0;
    return 1e5 * static_cast<double>(i) + kink + 2e4 * noise(i);
  }));
  ASSERT_TRUE(nearly);
  EXPECT_FALSE(nearly->is_of_second_half) << "two hundredths are no other rate";
  const auto steady = fit_latest_rate(
      points(80, [](size_t i) { return 1e5 * static_cast<double>(i) + 5e4 * noise(i); }));
  ASSERT_TRUE(steady);
  EXPECT_FALSE(steady->is_of_second_half);
}

TEST(TimeLeft, IsThatOfTheLimitMetFirst) {
  const std::vector<MemoryLimit> limits = {
      {"inner", 1000, 900}, {"outer", 5000, 4950}, {"the machine", 100000, 0}};
  const auto left = time_left(limits, Rate{10, 5, 20, 10, 90});
  ASSERT_TRUE(left);
  EXPECT_EQ(left->limit, 1U);
  EXPECT_EQ(left->seconds, 5);
  EXPECT_EQ(left->soonest, 2.5);
  EXPECT_EQ(left->latest, 10);
  EXPECT_EQ(nearest_limit(limits), 1U);
}

TEST(TimeLeft, IsNotKnownWithoutGrowthOrLimits) {
  EXPECT_FALSE(time_left({}, Rate{10, 5, 20, 10, 90}));
  const std::vector<MemoryLimit> limits = {{"inner", 1000, 900}};
  EXPECT_FALSE(time_left(limits, Rate{10, -1, 20, 10, 90}));
  EXPECT_FALSE(nearest_limit({}));
}

TEST(TimeLeft, IsNoneWhenMoreIsUsedThanThereIs) {
  const std::vector<MemoryLimit> limits = {{"inner", 1000, 1200}};
  EXPECT_EQ(time_left(limits, Rate{10, 5, 20, 10, 90})->seconds, 0);
}

}  // namespace
}  // namespace heapscan

#include "cli/cost_limits.h"

#include <gtest/gtest.h>

#include "heapscan/base/error.h"

namespace heapscan {
namespace {

PauseEstimate estimate_of(double seconds, uint64_t bytes) {
  PauseEstimate estimate;
  estimate.pause_seconds = seconds;
  estimate.bytes = bytes;
  return estimate;
}

TEST(CostLimits, BoundTheStopAndTheCopy) {
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  EXPECT_EQ(why_too_dear({}, estimate_of(100, kMiB << 20)), "");
  EXPECT_EQ(why_too_dear({0.05, 4 * kMiB}, estimate_of(0.05, 4 * kMiB)), "");
  EXPECT_EQ(why_too_dear({0.05, std::nullopt}, estimate_of(0.06, kMiB)),
            "it is expected to stand still for 60.0 ms, and --max-pause is 50");
  EXPECT_EQ(why_too_dear({std::nullopt, 4 * kMiB}, estimate_of(0, 5 * kMiB)),
            "about 5.0 MiB of it are to be copied, and --max-copy is 4.0 MiB");
}

TEST(CostLimits, NobodyAsksWhatItCostsForNothing) {
  EXPECT_FALSE(capture_within(7, {}, {}, {}).on_estimate);
  const auto spell = [](const PauseEstimate&) { return std::string("so much"); };
  EXPECT_TRUE(capture_within(7, {}, {}, spell).on_estimate);
}

TEST(CostLimits, WhatIsTooDearIsAnErrorThatNamesTheProcess) {
  const CaptureOptions how = capture_within(7, {}, {std::nullopt, 0}, {});
  how.on_estimate(estimate_of(1, 0));
  try {
    how.on_estimate(estimate_of(0, 1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Acquire);
    EXPECT_STREQ(
        error.what(),
        "process 7 was left alone: about 1 B of it are to be copied, and --max-copy is 0 B");
  }
}

}  // namespace
}  // namespace heapscan

#include "cli/trace_rules.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

TEST(TraceRules, RecordsLessWhenThereIsMoreThanCanBeWorkedOn) {
  EXPECT_EQ(next_one_in(1, {0.1, 1'999, 0, 5}), 1U);
  EXPECT_EQ(next_one_in(1, {0.1, 2'001, 0, 5}), 2U);
  EXPECT_EQ(next_one_in(4, {0.1, 10, 1, 5}), 8U) << "records were lost";
  EXPECT_EQ(next_one_in(4, {0.1, 10, 0, kMostAddresses + 1}), 8U) << "too many to remember";
  EXPECT_EQ(next_one_in(kMostOneIn, {0.1, 10, 1, 5}), kMostOneIn);
  EXPECT_EQ(next_one_in(3 * kMostOneIn, {0.1, 10, 1, 5}), 3 * kMostOneIn) << "never more often";
}

TEST(TraceRules, EndsWhenProbesTakeMoreThanAllowed) {
  EXPECT_FALSE(slows_too_much(0.5, 1, 3));
  EXPECT_TRUE(slows_too_much(0.7, 1, 3));
  EXPECT_TRUE(slows_too_much(1.2, 1, 1000)) << "estimates may be beyond what was used";
  EXPECT_FALSE(slows_too_much(0.3, 0.3, 3)) << "too short to say";
}

}  // namespace
}  // namespace heapscan

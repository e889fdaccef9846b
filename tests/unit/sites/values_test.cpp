#include "sites/values.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

TEST(Values, NumbersAreCalculatedWith) {
  EXPECT_TRUE(value_plus(number(3), 4).is_number(7));
  EXPECT_TRUE(value_times(number(3), 4).is_number(12));
  EXPECT_TRUE(sum_of(number(1), number(2), 9).is_number(3));
}

TEST(Values, ASizeIsAFactorAndAnOffsetOfAParameter) {
  const Value size = value_plus(value_times(parameter(1), 24), 16);
  EXPECT_EQ(size.of, Value::Of::Parameter);
  EXPECT_EQ(size.id, 1U);
  EXPECT_EQ(size.scale, 24);
  EXPECT_EQ(size.offset, 16);
}

TEST(Values, TheSameThingTwiceIsTwiceTheThing) {
  EXPECT_EQ(sum_of(opaque(5), opaque(5), 9).scale, 2);
  EXPECT_TRUE(sum_of(parameter(0), value_times(parameter(0), -1), 9).is_number(0));
}

TEST(Values, OfTwoUnknownThingsTheCommonFactorIsKept) {
  const Value sum = sum_of(value_times(opaque(1), 24), value_times(opaque(2), 16), 9);
  EXPECT_EQ(sum.scale, 8);
  // What is not known is not the same as something else that is not known.
  EXPECT_FALSE(sum_of(Value(), value_times(Value(), -1), 9).is_number());
}

TEST(Values, AProductOfTwoParametersIsRemembered) {
  const Value product = product_of(parameter(1), parameter(0), 9);
  EXPECT_EQ(product.of, Value::Of::Product);
  EXPECT_EQ(product.id, 0U | 1U << 8);
}

TEST(Values, EitherOfAFewNumbersIsASet) {
  const Value some = either(either(number(96), number(32)), number(64));
  ASSERT_EQ(some.more, 2);
  EXPECT_EQ(some.number_at(0), 32);
  EXPECT_EQ(some.number_at(1), 64);
  EXPECT_EQ(some.number_at(2), 96);
  const Value times = value_times(some, 2);
  EXPECT_EQ(times.number_at(2), 192);
  EXPECT_TRUE(either(either(some, number(1)), number(2)).is_unknown()) << "five are too many";
  EXPECT_TRUE(either(number(0), number(int64_t{1} << 40)).is_unknown()) << "too far apart";
}

TEST(Values, ANullPointerBesideABlockIsAFailedCall) {
  EXPECT_EQ(either(allocation(3), number(0)), allocation(3));
  EXPECT_EQ(either(number(0), allocation(3)), allocation(3));
  EXPECT_TRUE(either(allocation(3), number(8)).is_unknown());
  EXPECT_EQ(either(value_plus(allocation(3), 8), allocation(3)), value_plus(allocation(3), 8))
      << "the failure is not moved behind the header";
  EXPECT_EQ(either(opaque(7), allocation(3)), allocation(3)) << "or one of a free list";
  EXPECT_TRUE(either(Value(), allocation(3)).is_unknown());
}

TEST(Values, ANumberBesideAParameterIsItsDefault) {
  EXPECT_EQ(either(parameter(0), number(1)), parameter(0));
  EXPECT_TRUE(either(parameter(0), parameter(1)).is_unknown());
}

TEST(Values, NumbersAreCutToARegister) {
  EXPECT_TRUE(cut_to(number(-1), 4, false).is_number(0xffffffff));
  EXPECT_TRUE(cut_to(number(0xff), 1, true).is_number(-1));
  EXPECT_TRUE(value_and(either(number(-1), number(0)), -16).number_at(0) == -16);
}

}  // namespace
}  // namespace heapscan

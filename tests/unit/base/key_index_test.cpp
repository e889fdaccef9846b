#include "heapscan/base/key_index.h"

#include <gtest/gtest.h>

#include "heapscan/base/hash.h"

namespace heapscan {
namespace {

TEST(KeyIndex, FindsWhatWasInsertedHoweverMuchItGrows) {
  constexpr uint32_t kRows = 10'000;
  KeyIndex index;
  EXPECT_FALSE(index.find(mix(1)).has_value());
  for (uint32_t row = 0; row < kRows; ++row) index.insert(mix(row + 1), row);
  for (uint32_t row = 0; row < kRows; ++row) ASSERT_EQ(index.find(mix(row + 1)), row);
  EXPECT_FALSE(index.find(mix(kRows + 1)).has_value());
}

TEST(KeyIndex, KeysOfOnePlaceAreToldApart) {
  KeyIndex index;
  for (uint32_t row = 1; row <= 20; ++row) index.insert(uint64_t{row} << 32, row);
  for (uint32_t row = 1; row <= 20; ++row) EXPECT_EQ(index.find(uint64_t{row} << 32), row);
}

TEST(KeyIndex, KeepsTheRowThatWasThereBefore) {
  KeyIndex index;
  index.insert(7, 1);
  index.insert(7, 2);
  EXPECT_EQ(index.find(7), 1U);
}

TEST(KeyIndex, KeyZeroIsNeverInIt) {
  KeyIndex index;
  index.insert(0, 1);
  EXPECT_FALSE(index.find(0).has_value());
}

}  // namespace
}  // namespace heapscan

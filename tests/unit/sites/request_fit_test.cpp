#include "sites/request_fit.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

RequestedBytes constant(std::vector<uint64_t> sizes) {
  return {.kind = RequestedBytes::Kind::Constant, .constants = std::move(sizes)};
}

RequestedBytes linear(uint64_t base, uint64_t step) {
  return {.kind = RequestedBytes::Kind::Linear, .constants = {}, .base = base, .step = step};
}

TEST(RequestFit, AConstantExplainsTheSizeThatMallocRoundsItTo) {
  EXPECT_TRUE(covers({{24, 10}}, constant({1})));
  EXPECT_TRUE(covers({{24, 10}}, constant({24})));
  EXPECT_FALSE(covers({{24, 10}}, constant({25})));
  EXPECT_TRUE(covers({{40, 10}}, constant({25})));
}

TEST(RequestFit, TheRestThatMallocLeavesIsTheException) {
  EXPECT_TRUE(covers({{40, 90}, {56, 10}}, constant({40})));
  EXPECT_FALSE(covers({{56, 10}}, constant({40}))) << "not of all blocks";
}

TEST(RequestFit, EachSizeNeedsAnExplanation) {
  EXPECT_FALSE(covers({{40, 50}, {104, 50}}, constant({40})));
  EXPECT_TRUE(covers({{40, 50}, {104, 50}}, constant({40, 104})));
}

TEST(RequestFit, LargeBlocksAreMappings) {
  const uint64_t mapped = 413'696 - 16;  // whole pages, two words of which are the header
  EXPECT_TRUE(covers({{mapped, 5}}, constant({409'600})));
  EXPECT_TRUE(covers({{409'608, 5}}, constant({409'600}))) << "from the heap after all";
  EXPECT_FALSE(covers({{409'600 + 4096, 5}}, constant({300'000})));
}

TEST(RequestFit, MultiplesReachTheSizesTheyCan) {
  EXPECT_TRUE(covers({{488, 5}, {968, 5}}, linear(0, 48)));
  EXPECT_FALSE(covers({{24, 5}}, linear(0, 4096))) << "not by asking for nothing";
  EXPECT_TRUE(covers({{24, 5}}, linear(16, 4096)));
  EXPECT_FALSE(covers({{24, 5}}, linear(4096, 1)));
  EXPECT_TRUE(covers({{24, 5}, {8008, 5}}, RequestedBytes()));
}

}  // namespace
}  // namespace heapscan

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>

#include "heapscan/base/parallel.h"
#include "heapscan/identify/clusters.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

constexpr uint64_t kFunction = FakeProgram::kCode + 0x100;
constexpr uint64_t kTable = FakeProgram::kStrong + 0x8000;  // constants of the fake program

// A program whose blocks carry the name of what they are, to hold clusters against.
class ClusterTest : public testing::Test {
 protected:
  Addr block(const std::string& type, uint64_t size, const std::vector<uint64_t>& words) {
    const Addr at = program_.block(size);
    for (size_t i = 0; i < words.size(); ++i) program_.poke(at + 8 * i, words[i]);
    type_of_[at] = type;
    return at;
  }
  Addr text(const std::string& type, const std::string& string) {
    std::vector<uint64_t> words((string.size() + 8) / 8);
    std::copy(string.begin(), string.end(), reinterpret_cast<char*>(words.data()));
    return block(type, std::max<uint64_t>(24, string.size() + 1), words);
  }
  // A table of functions, as of a class.
  uint64_t table(size_t number) {
    const Addr at(kTable + number * 64);
    for (size_t i = 0; i < 4; ++i) program_.poke(at + 8 * i, kFunction + 16 * (4 * number + i));
    return at.value;
  }

  void run(const ClusterOptions& options = {}) {
    world_ = program_.build();
    reach_ = world_.trace();
    clusters_ = cluster(world_.image, Symbols(), world_.heap, reach_, options);
  }
  [[nodiscard]] ClusterId of(Addr at) const { return clusters_.of(world_.heap.block_at(at)); }
  // The clusters that blocks of this type are in.
  [[nodiscard]] std::set<ClusterId> clusters_of(const std::string& type) const {
    std::set<ClusterId> result;
    for (const auto& [at, name] : type_of_) {
      if (name == type) result.insert(of(at));
    }
    return result;
  }
  [[nodiscard]] Shape shape_of(const std::string& type) const {
    return clusters_.rows[*clusters_of(type).begin()].shape;
  }
  void expect_one(const std::string& type) const {
    EXPECT_EQ(clusters_of(type).size(), 1U) << type;
  }
  void expect_apart(const std::string& one, const std::string& other) const {
    const std::set<ClusterId> a = clusters_of(one);
    for (const ClusterId id : clusters_of(other)) EXPECT_FALSE(a.contains(id)) << one << other;
  }

  FakeProgram program_;
  std::map<Addr, std::string> type_of_;
  FakeProgram::World world_;
  Reachability reach_;
  Clusters clusters_;
  std::mt19937_64 random_{7};
};

TEST_F(ClusterTest, EqualRecordsAreOneCluster) {
  for (int i = 0; i < 100; ++i) block("session", 40, {7, kFunction, 0, 0x1234567812345678, 3});
  run();
  expect_one("session");
  const Cluster& row = clusters_.rows[ClusterId(0)];
  EXPECT_EQ(row.blocks, 100U);
  EXPECT_EQ(row.bytes, 4000U);
  EXPECT_EQ(row.shape, Shape::Record);
  ASSERT_EQ(row.sizes.size(), 1U);
  EXPECT_EQ(row.sizes[0], std::make_pair(uint64_t{40}, uint64_t{100}));
  EXPECT_EQ(row.samples.size(), Cluster::kSamples);
  EXPECT_TRUE(std::is_sorted(row.samples.begin(), row.samples.end()));
  EXPECT_EQ(row.samples.front(), clusters_.blocks.front());
}

TEST_F(ClusterTest, OptionalFieldsDoNotSplit) {
  const Addr other = block("other", 200, {1, 2, 3, kFunction});
  for (uint64_t i = 0; i < 256; ++i) {
    block("record", 56,
          {kFunction, (i & 1) != 0 ? other.value : 0, (i & 2) != 0 ? other.value : 0,
           (i & 4) != 0 ? i : 0, (i & 8) != 0 ? i * i : 0, i + 1, 0});
  }
  run();
  expect_one("record");
  expect_apart("record", "other");
}

TEST_F(ClusterTest, TablesOfFunctionsTellClassesApart) {
  const uint64_t circle = table(0);
  const uint64_t square = table(1);
  for (uint64_t i = 0; i < 50; ++i) {
    block("circle", 40, {circle, i, i, 0, 5});
    block("square", 40, {square, i, i, 0, 5});
  }
  run();
  expect_one("circle");
  expect_one("square");
  expect_apart("circle", "square");
}

TEST_F(ClusterTest, TextsOfAllLengthsAreOne) {
  for (size_t i = 4; i < 300; i += 3) text("text", std::string(i, static_cast<char>('a' + i % 26)));
  run();
  expect_one("text");
  EXPECT_EQ(shape_of("text"), Shape::Text);
}

TEST_F(ClusterTest, ArraysOfAllLengthsAreOne) {
  std::vector<uint64_t> nodes;
  for (uint64_t i = 0; i < 40; ++i)
    nodes.push_back(block("node", 72, {kFunction, i + 1, i, 3, kFunction + 32}).value);
  for (size_t length : {17, 20, 30, 40}) {
    block("array", length * 8 + 16, {nodes.begin(), nodes.begin() + static_cast<long>(length)});
  }
  for (uint64_t length : {20, 30, 50}) {
    std::vector<uint64_t> numbers(length);
    for (size_t i = 0; i < length; ++i) numbers[i] = i + 1;
    block("numbers", length * 8, numbers);
  }
  run();
  expect_one("array");
  EXPECT_EQ(shape_of("array"), Shape::Pointers);
  expect_one("numbers");
  EXPECT_EQ(shape_of("numbers"), Shape::Numbers);
  expect_one("node");
}

TEST_F(ClusterTest, TinyBlocksAreToldByWhoPointsAtThem) {
  for (uint64_t i = 0; i < 60; ++i) {
    const Addr first = block("first", 24, {i + 1, 1});
    const Addr second = block("second", 24, {i + 1, 1});
    block("owner", 88, {kFunction, first.value, 5, 3, 2, 1, second.value, kFunction + 64});
  }
  run();
  expect_one("owner");
  expect_one("first");
  expect_one("second");
  expect_apart("first", "second");
}

TEST_F(ClusterTest, WhatPointersLeadToTellsRecordsApart) {
  for (uint64_t i = 0; i < 60; ++i) {
    const Addr key = text("key", "key of an entry " + std::to_string(i));
    const Addr value = block("value", 104, {kFunction, i, 7, 9, kFunction + 16});
    block("of keys", 40, {key.value, key.value, key.value, i + 1, 1});
    block("of values", 40, {value.value, value.value, value.value, i + 1, 1});
  }
  run();
  expect_one("of keys");
  expect_one("of values");
  expect_apart("of keys", "of values");
}

TEST_F(ClusterTest, OnlyUsedBlocksOfTheWantedVerdictsAreClustered) {
  const Addr held = block("held", 40, {1, 2, 3});
  const Addr lost = block("lost", 40, {1, 2, 3});
  const Addr unused = program_.block(40, BlockState::Binned);
  program_.strong_root(held);
  run();
  EXPECT_TRUE(of(lost).valid());
  EXPECT_FALSE(of(held).valid());
  EXPECT_FALSE(of(unused).valid());
  EXPECT_EQ(clusters_.blocks.size(), 1U);
}

}  // namespace
}  // namespace heapscan

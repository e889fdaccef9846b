#include "heapscan/report/cluster_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "heapscan/report/report.h"
#include "heapscan/symbols/types.h"
#include "report/describe_parts.h"
#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Ten blocks: a number of their own, a pointer to the next one, a constant, text.
class ClusterMapTest : public ::testing::Test {
 protected:
  ClusterMapTest() {
    program_.label("struct node");
    for (int i = 0; i < 10; ++i) blocks_.push_back(program_.definite(56));
    FakeProgram& words = program_.program();
    for (size_t i = 0; i < 10; ++i) {
      words.poke(blocks_[i], 100 + i);
      if (i + 1 < 10) words.poke(blocks_[i] + 8, blocks_[i + 1]);
      words.poke(blocks_[i] + 16, 0x7777);
      words.poke(blocks_[i] + 24, 0x20544553'6f676f68);  // "hogoSET "
      words.poke(blocks_[i] + 32, 0x00000000'74657263);  // "cret"
    }
    words.poke(blocks_[0], ~uint64_t{0x1234'5678'9abc});  // the first one is unlike the others
    program_.label("other");
    program_.reachable(24);
    analysis_ = program_.judge();
    cluster_ = analysis_.clusters.of(analysis_.heap.block_at(blocks_[0]));
  }
  [[nodiscard]] const MapRow& row(const ClusterMap& map, uint64_t offset) const {
    for (const MapRow& row : map.rows) {
      if (offset >= row.offset && offset < row.offset + row.length) return row;
    }
    throw std::out_of_range("no such row");
  }
  [[nodiscard]] Report report(bool content) const {
    ReportOptions options;
    options.cluster = cluster_;
    options.content = content;
    options.command = "heapscan attach 4711";
    return describe(live_facts(), analysis_, options);
  }
  JudgedProgram program_;
  std::vector<Addr> blocks_;
  Analysis analysis_;
  ClusterId cluster_;
};

TEST_F(ClusterMapTest, TellsOfTheCluster) {
  const ClusterMap map = map_cluster(analysis_, cluster_, true);
  EXPECT_EQ(map.id, id_of_label("struct node"));
  EXPECT_EQ(map.label, "struct node");
  EXPECT_EQ(map.blocks, 10U);
  EXPECT_EQ(map.bytes, 560U);
  ASSERT_THAT(map.verdicts, SizeIs(1));
  EXPECT_EQ(map.verdicts[0].first, "definite");
  EXPECT_EQ(map.verdicts[0].second.blocks, 10U);
  EXPECT_THAT(map.examples,
              ElementsAre(blocks_[0], blocks_[2], blocks_[4], blocks_[6], blocks_[8]));
}

TEST_F(ClusterMapTest, TellsOfEveryWordOfATypicalBlock) {
  const ClusterMap map = map_cluster(analysis_, cluster_, true);
  EXPECT_EQ(map.example, blocks_[1]);
  uint64_t next = 0;
  for (const MapRow& row : map.rows) {
    EXPECT_EQ(row.offset, next);
    next += row.length;
  }
  EXPECT_EQ(next, map.rows_end);
  EXPECT_EQ(map.rows_end, 56U);
  EXPECT_EQ(row(map, 0).agreeing, 9U);
  EXPECT_FALSE(row(map, 0).constant);
  EXPECT_EQ(row(map, 8).points_to, map.id);
  EXPECT_THAT(row(map, 8).meaning, HasSubstr("struct node"));
  EXPECT_EQ(row(map, 8).agreeing, 10U) << "null belongs to a pointer";
  EXPECT_TRUE(row(map, 16).constant);
  EXPECT_EQ(row(map, 16).bytes, "7777000000000000");
  EXPECT_THAT(row(map, 24).meaning, HasSubstr("hogoSET cret"));
}

// A block of `size` bytes, of a cluster of its own.
class LongBlock : public ::testing::Test {
 protected:
  explicit LongBlock(uint64_t size = 24 << 10) {
    program_.label("struct table");
    block_ = program_.definite(size + 8);
    program_.label("element");
    target_ = program_.definite(40);
  }
  void poke(uint64_t offset, uint64_t value) { program_.program().poke(block_ + offset, value); }
  ClusterMap map() {
    analysis_ = program_.judge();
    return map_cluster(analysis_, analysis_.clusters.of(analysis_.heap.block_at(block_)), true,
                       1.8e9);
  }
  // The rows must tell of every byte, in order.
  static void expect_whole(const ClusterMap& map) {
    uint64_t next = 0;
    for (const MapRow& row : map.rows) {
      EXPECT_EQ(row.offset, next);
      next += row.length;
    }
    EXPECT_EQ(next, map.example_size);
    EXPECT_EQ(map.rows_end, map.example_size);
  }
  static const MapRow& row_at(const ClusterMap& map, uint64_t offset) {
    for (const MapRow& row : map.rows) {
      if (offset >= row.offset && offset < row.offset + row.length) return row;
    }
    throw std::out_of_range("no such row");
  }
  JudgedProgram program_;
  Addr block_;
  Addr target_;
  Analysis analysis_;
};

TEST_F(LongBlock, IsShownToItsEnd) {
  poke(0x5000, FakeProgram::kCode + 0x40);
  const ClusterMap map = this->map();
  expect_whole(map);
  EXPECT_EQ(row_at(map, 0x5000).kind, "function");
  EXPECT_EQ(row_at(map, 0x4000).kind, "zero");
  EXPECT_LT(map.rows.size(), 10U);
}

TEST_F(LongBlock, FoldsElementsThatRepeat) {
  for (uint64_t i = 0; i < 512; ++i) {
    poke(24 * i, target_.value);
    poke(24 * i + 8, FakeProgram::kCode + 0x40);
    poke(24 * i + 16, 1000 + 7 * i);
  }
  const ClusterMap map = this->map();
  expect_whole(map);
  EXPECT_LT(map.rows.size(), 10U);
  EXPECT_EQ(row_at(map, 3 * 8).folded, 511 * 3U);
  EXPECT_EQ(row_at(map, 3 * 8).kind, "folded");
  EXPECT_THAT(row_at(map, 3 * 8).meaning, HasSubstr("the 3 rows above, 511 times more"));
}

TEST_F(LongBlock, FoldsNumbersOnlyWhereTheyAreMany) {
  for (uint64_t i = 0; i < 20; ++i) poke(8 * i, 1000 + 7 * i);
  poke(8 * 20, FakeProgram::kCode + 0x40);
  for (uint64_t i = 21; i < 1000; ++i) poke(8 * i, 70'000 + 7 * i);
  const ClusterMap map = this->map();
  expect_whole(map);
  EXPECT_EQ(row_at(map, 8 * 19).folded, 0U) << "counters of a struct";
  EXPECT_GT(row_at(map, 8 * 900).folded, 900U);
  EXPECT_EQ(row_at(map, 8 * 20).kind, "function");
}

TEST_F(LongBlock, HasABoundedNumberOfRowsWhateverItHolds) {
  uint64_t state = 1;
  for (uint64_t i = 0; i < 3000; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    const uint64_t kind = state >> 60 & 3;
    poke(8 * i, kind == 0   ? 5 + i
                : kind == 1 ? FakeProgram::kCode + i % 1024
                : kind == 2 ? target_.value
                            : FakeProgram::kStrong + 8 * i);
  }
  const ClusterMap map = this->map();
  expect_whole(map);
  EXPECT_LE(map.rows.size(), 256U);
  EXPECT_THAT(row_at(map, 8 * 2000).meaning, HasSubstr("not shown"));
}

TEST_F(LongBlock, TimesAreThoseOfTheProgramsDays) {
  poke(0, 1'795'168'800);
  poke(8, FakeProgram::kCode + 0x40);
  poke(16, 1'000'000'000);  // 2001
  const ClusterMap map = this->map();
  EXPECT_EQ(row_at(map, 0).kind, "time");
  EXPECT_EQ(row_at(map, 16).kind, "value");
}

class HugeBlock : public LongBlock {
 protected:
  HugeBlock() : LongBlock(8 << 20) {}
};

TEST_F(HugeBlock, IsLookedAtFromBothEnds) {
  poke(0, FakeProgram::kCode + 0x40);
  poke(8 << 20, FakeProgram::kCode + 0x40);
  const ClusterMap map = this->map();
  expect_whole(map);
  EXPECT_EQ(row_at(map, 8 << 20).kind, "function");
  EXPECT_EQ(row_at(map, 4 << 20).kind, "zero");
}

TEST_F(HugeBlock, SaysWhatItDidNotLookAt) {
  poke(4 << 20, 7);
  const ClusterMap map = this->map();
  expect_whole(map);
  EXPECT_EQ(row_at(map, 4 << 20).kind, "folded");
}

TEST_F(ClusterMapTest, NamesMembersOfAKnownType) {
  TypesBuilder builder;
  const TypeId number = builder.add({.kind = TypeKind::Integer, .size = 4, .name = "int"});
  const TypeId node = builder.add({.kind = TypeKind::Struct, .size = 56, .name = "node"});
  const TypeId pointer = builder.add({.kind = TypeKind::Pointer, .size = 8, .target = node});
  builder.set_members(node, {{.offset = 0, .type = number, .name = "low\x1b"},
                             {.offset = 4, .type = number, .name = "high"},
                             {.offset = 8, .type = pointer, .name = "next"}});
  analysis_.types = builder.freeze();
  analysis_.identities.rows[cluster_].type = node;
  const ClusterMap map = map_cluster(analysis_, cluster_, true);
  EXPECT_EQ(row(map, 0).member, "low\\x1b, high");
  EXPECT_EQ(row(map, 0).type, "int, int");
  EXPECT_EQ(row(map, 8).member, "next");
  EXPECT_EQ(row(map, 8).type, "struct node *");
  EXPECT_EQ(row(map, 16).member, "");

  analysis_.identities.rows[cluster_] = {};
  EXPECT_EQ(row(map_cluster(analysis_, cluster_, true), 8).member, "");
  analysis_.identities.rows[cluster_].label = "node";  // known by its vtable, say
  EXPECT_EQ(row(map_cluster(analysis_, cluster_, true), 8).member, "next");
  analysis_.clusters.rows[cluster_].sizes = {{40, 10}};
  EXPECT_EQ(row(map_cluster(analysis_, cluster_, true), 8).member, "") << "too large a type";
}

TEST_F(ClusterMapTest, RelatesClustersThatHangTogether) {
  LeakTree tree;
  tree.cluster = cluster_;
  tree.heads = 1;
  tree.nodes = {{.cluster = cluster_, .blocks = 1},
                {.cluster = cluster_, .parent = 0, .offset = 8, .blocks = 9, .bytes = 504}};
  analysis_.forest.trees = {tree};
  const ClusterMap map = map_cluster(analysis_, cluster_, true);
  ASSERT_THAT(map.parents, SizeIs(1));
  ASSERT_THAT(map.children, SizeIs(1));
  EXPECT_EQ(map.children[0].cluster, map.id);
  EXPECT_EQ(map.children[0].offset, 8U);
  EXPECT_EQ(map.children[0].blocks, 9U);
}

TEST_F(ClusterMapTest, IsWrittenAsTextAndJson) {
  std::ostringstream text;
  render_text(report(true), false, text);
  EXPECT_THAT(text.str(), HasSubstr("\ngroup       " + id_of_label("struct node") +
                                    ": struct node, 560 B in 10 blocks\n"));
  EXPECT_THAT(text.str(), HasSubstr("hogoSET cret"));
  EXPECT_THAT(text.str(), HasSubstr(" --cluster " + id_of_label("struct node") + " --all\n"));
  EXPECT_THAT(text.str(), Not(HasSubstr("\nleaked  ")));
  std::ostringstream json;
  render_json(report(true), json);
  const auto parsed = nlohmann::json::parse(json.str());
  EXPECT_EQ(parsed["cluster"]["id"], id_of_label("struct node"));
  EXPECT_EQ(parsed["cluster"]["words"][0]["offset"], 0);
  EXPECT_EQ(parsed["leaks"].size(), 1U);
}

TEST_F(ClusterMapTest, KeepsContentOut) {
  for (const bool as_json : {false, true}) {
    std::ostringstream out;
    if (as_json) {
      render_json(report(false), out);
    } else {
      render_text(report(false), false, out);
    }
    for (const char* secret : {"hogo", "cret", "686f676f", "63726574", "7777"})
      EXPECT_THAT(out.str(), Not(HasSubstr(secret)));
  }
}

TEST(MemberNames, FollowArraysStructsAndFlexibleEnds) {
  TypesBuilder builder;
  const TypeId number = builder.add({.kind = TypeKind::Integer, .size = 8, .name = "long"});
  const TypeId letter = builder.add({.kind = TypeKind::Character, .size = 1, .name = "char"});
  const TypeId pair = builder.add({.kind = TypeKind::Struct, .size = 16, .name = "pair"});
  builder.set_members(pair, {{.offset = 0, .type = number, .name = "a"},
                             {.offset = 8, .type = number, .name = "b"}});
  const TypeId pairs =
      builder.add({.kind = TypeKind::Array, .size = 48, .target = pair, .count = 3});
  const TypeId letters =
      builder.add({.kind = TypeKind::Array, .size = 32, .target = letter, .count = 32});
  const TypeId rest = builder.add({.kind = TypeKind::Array, .target = number});
  const TypeId outer = builder.add({.kind = TypeKind::Struct, .size = 80, .name = "outer"});
  builder.set_members(outer, {{.offset = 0, .type = pairs, .name = "pairs"},
                              {.offset = 48, .type = letters, .name = "text"},
                              {.offset = 80, .type = rest, .name = "rest"}});
  const Types types = builder.freeze();
  EXPECT_EQ(name_member(types, outer, 104, 24).name, "pairs[1].b");
  EXPECT_EQ(name_member(types, outer, 104, 56).name, "text");
  EXPECT_EQ(name_member(types, outer, 104, 96).name, "rest[2]");
  EXPECT_EQ(name_member(types, pair, 56, 40).name, "[2].b") << "an array of them";
  EXPECT_EQ(name_member(types, pair, 56, 48).name, "") << "what no whole one fills";
  EXPECT_EQ(name_member(types, number, 8, 0).name, "");
  EXPECT_EQ(name_member(types, TypeId::none(), 8, 0).name, "");
}

}  // namespace
}  // namespace heapscan

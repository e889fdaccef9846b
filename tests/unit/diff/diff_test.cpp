#include "heapscan/diff/diff.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

struct RowOf {
  uint64_t at;
  uint64_t size;
  uint64_t contents;
  int cluster;
  Verdict verdict = Verdict::Reachable;
};

// `fingerprints` of the clusters.
Imprint imprint_of(std::vector<uint64_t> fingerprints, std::vector<RowOf> rows) {
  Imprint imprint;
  for (const uint64_t id : fingerprints) imprint.fingerprints.push_back(id);
  imprint.rows = GrowingArray<ImprintRow>(rows.size());
  for (const RowOf& row : rows) {
    ImprintRow made;
    made.begin = Addr(row.at);
    made.size = row.size & 0xffffffff;
    made.contents = row.contents;
    if (row.cluster >= 0) made.cluster = ClusterId(static_cast<size_t>(row.cluster));
    made.verdict = static_cast<uint8_t>(row.verdict);
    made.block = BlockId(imprint.rows.size());
    imprint.rows.push_back(made);
  }
  return imprint;
}

TEST(Diff, TellsWhatBecameOfEachBlock) {
  const Imprint before = imprint_of(
      {7}, {{0x1000, 24, 1, 0}, {0x2000, 24, 1, 0}, {0x3000, 24, 1, 0}, {0x4000, 24, 1, 0}});
  const Imprint after = imprint_of(
      {7}, {{0x1000, 24, 1, 0}, {0x2000, 24, 2, 0}, {0x4000, 40, 1, 0}, {0x5000, 24, 1, 0}});
  const Delta delta = diff(before, after, true);
  EXPECT_EQ(delta.all.was.blocks, 4U);
  EXPECT_EQ(delta.all.gone.blocks, 2U) << "at 0x3000, and at 0x4000, where another size is now";
  EXPECT_EQ(delta.all.born.blocks, 2U);
  EXPECT_EQ(delta.all.unchanged.blocks, 1U);
  EXPECT_EQ(delta.all.changed.blocks, 1U);
  EXPECT_EQ(delta.all.growth(), 16);
  EXPECT_EQ(delta.fate_after[3], Fate::Born);
}

// Among more blocks, some that looked like others before are told apart.
TEST(Diff, WhatWasNotWrittenToIsOfItsKindBeforeToo) {
  const Imprint before =
      imprint_of({7}, {{0x1000, 24, 1, 0}, {0x2000, 24, 2, 0}, {0x3000, 24, 3, 0}});
  const Imprint after = imprint_of(
      {7, 9}, {{0x1000, 24, 1, 0}, {0x2000, 24, 2, 1}, {0x3000, 24, 3, 1}, {0x4000, 24, 4, 1}});
  const Delta delta = diff(before, after, true);
  ASSERT_EQ(delta.kinds.size(), 2U);
  const KindChange& grown = delta.kinds[0];
  EXPECT_EQ(grown.after, ClusterId(1));
  EXPECT_EQ(grown.was.blocks, 2U);
  EXPECT_EQ(grown.born.blocks, 1U);
  EXPECT_EQ(grown.growth(), 24);
  EXPECT_EQ(delta.kinds[1].was.blocks, 1U);
  EXPECT_EQ(delta.kinds[1].growth(), 0);
  for (const KindChange& kind : delta.kinds)
    EXPECT_EQ(kind.was.blocks - kind.gone.blocks, kind.is.blocks - kind.born.blocks);
}

TEST(Diff, ConfirmsOnlyWhatStayedLostAndUnchanged) {
  constexpr Verdict kLost = Verdict::Definite;
  const Imprint before = imprint_of({7}, {{0x1000, 24, 1, 0, kLost},
                                          {0x2000, 24, 1, 0, kLost},
                                          {0x3000, 24, 1, 0, kLost},
                                          {0x4000, 24, 1, 0, kLost},
                                          {0x5000, 24, 1, 0}});
  const Imprint after = imprint_of({7}, {{0x1000, 24, 1, 0, kLost},
                                         {0x2000, 24, 2, 0, kLost},
                                         {0x3000, 24, 1, 0},
                                         {0x5000, 24, 1, 0, kLost},
                                         {0x6000, 24, 1, 0, kLost}});
  const LostChange& lost = diff(before, after, true).all.lost;
  EXPECT_EQ(lost.confirmed.blocks, 1U);
  EXPECT_EQ(lost.written.blocks, 1U);
  EXPECT_EQ(lost.regained.blocks, 1U);
  EXPECT_EQ(lost.freed.blocks, 1U);
  EXPECT_EQ(lost.newly.blocks, 2U);
}

TEST(Diff, OfTwoProcessesMatchesNoBlocks) {
  const Imprint before = imprint_of({7}, {{0x1000, 24, 1, 0}});
  const Imprint after = imprint_of({7, 8}, {{0x1000, 24, 1, 0}, {0x2000, 32, 1, 1}});
  const Delta delta = diff(before, after, false);
  EXPECT_EQ(delta.all.unchanged.blocks, 0U);
  EXPECT_EQ(delta.all.born.blocks, 2U);
  ASSERT_EQ(delta.kinds.size(), 2U);
  EXPECT_EQ(delta.kinds[0].after, ClusterId(1));
  EXPECT_EQ(delta.kinds[1].growth(), 0);
}

TEST(Diff, AsksTheTestWhereThereIsOne) {
  const Imprint before = imprint_of({7}, {{0x1000, 24, 1, 0}, {0x2000, 24, 1, 0}});
  const Delta delta = diff(before, imprint_of({7}, {{0x1000, 24, 1, 0}, {0x2000, 24, 9, 0}}), true,
                           [](AddrRange block) { return block.begin() == Addr(0x2000); });
  EXPECT_EQ(delta.fate_after[0], Fate::Changed);
  EXPECT_EQ(delta.fate_after[1], Fate::Unchanged);
}

}  // namespace
}  // namespace heapscan

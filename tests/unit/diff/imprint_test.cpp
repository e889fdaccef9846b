#include "heapscan/diff/imprint.h"

#include <gtest/gtest.h>

#include "heapscan/image/image.h"

namespace heapscan {
namespace {

const Addr kBegin(0x7f0000000000);
constexpr uint64_t kPage = 4096;

// A page of memory that begins with these words; without any, known to be zero.
MemoryImage page_of(std::vector<uint64_t> words, Contents contents = Contents::Saved) {
  ImageBuilder builder;
  Region region;
  region.range = AddrRange::sized(kBegin, kPage);
  region.perms = {true, true, false, false};
  region.contents = contents;
  std::vector<std::byte> bytes(kPage);
  if (!words.empty()) std::memcpy(bytes.data(), words.data(), words.size() * sizeof(uint64_t));
  if (contents == Contents::Saved) region.bytes = builder.keep_copy(bytes);
  builder.add_region(region);
  return builder.freeze();
}

uint64_t hash(const MemoryImage& image, uint64_t offset, uint64_t size) {
  return hash_of_contents(image, AddrRange::sized(kBegin + offset, size));
}

TEST(Imprint, TakesThirtyTwoBytesPerBlock) { EXPECT_LE(sizeof(ImprintRow), 32U); }

TEST(Imprint, HashTellsEveryByteAndItsPlace) {
  const uint64_t one = hash(page_of({1, 2, 3, 4}), 0, 24);
  EXPECT_EQ(one, hash(page_of({1, 2, 3, 99}), 0, 24)) << "what lies behind the block";
  EXPECT_NE(one, hash(page_of({1, 2, 4, 4}), 0, 24));
  EXPECT_NE(one, hash(page_of({2, 1, 3, 4}), 0, 24)) << "words that changed places";
  EXPECT_NE(one, hash(page_of({1, 2, 3, 4}), 0, 20));
  EXPECT_EQ(hash(page_of({7, 8}), 0, 16), hash(page_of({0, 0, 7, 8}), 16, 16));
  EXPECT_NE(hash(page_of({0, 5}), 0, 16), hash(page_of({5, 0}), 0, 16));
  EXPECT_NE(hash(page_of({0x0100}), 0, 2), hash(page_of({0x0200}), 0, 2)) << "half a word";
}

TEST(Imprint, ZerosAreZerosWhetherSavedOrNot) {
  EXPECT_EQ(hash(page_of({}), 64, 640), hash(page_of({}, Contents::Zero), 64, 640));
  EXPECT_NE(hash(page_of({}), 64, 640), hash(page_of({}), 64, 648));
}

// Three blocks: in use in a group, free, in use and lost.
Analysis three_blocks() {
  Analysis analysis;
  analysis.image = page_of({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  analysis.heap.blocks = GrowingArray<Block>(3);
  analysis.heap.blocks.push_back({kBegin, 24, BlockState::Used, ArenaId(0)});
  analysis.heap.blocks.push_back({kBegin + 32, 24, BlockState::Tcache, ArenaId(0)});
  analysis.heap.blocks.push_back({kBegin + 64, 24, BlockState::Used, ArenaId(0)});
  analysis.reach.verdicts = GrowingArray<Verdict>(3);
  for (const Verdict v : {Verdict::Reachable, Verdict::NotJudged, Verdict::Definite})
    analysis.reach.verdicts.push_back(v);
  analysis.clusters.members =
      BlockColumn<ClusterId>(std::vector{BlockId(0)}, std::vector{ClusterId(0)});
  Cluster cluster;
  cluster.fingerprint = 77;
  analysis.clusters.rows.push_back(cluster);
  return analysis;
}

TEST(Imprint, HasTheBlocksInUse) {
  const Analysis analysis = three_blocks();
  const Imprint imprint = make_imprint(analysis);
  ASSERT_EQ(imprint.rows.size(), 2U);
  EXPECT_EQ(imprint.rows[0].begin, kBegin);
  EXPECT_EQ(imprint.rows[0].size, 24U);
  EXPECT_EQ(imprint.rows[0].cluster, ClusterId(0));
  EXPECT_FALSE(imprint.rows[0].is_lost());
  EXPECT_EQ(imprint.rows[1].block, BlockId(2));
  EXPECT_FALSE(imprint.rows[1].cluster.valid());
  EXPECT_TRUE(imprint.rows[1].is_lost());
  EXPECT_EQ(imprint.rows[1].contents, hash(analysis.image, 64, 24));
  EXPECT_EQ(imprint.fingerprints[ClusterId(0)], 77U);
  EXPECT_FALSE(imprint.program.is_known);
}

TEST(Imprint, HashesOfASnapshotWithoutContentsTakeThePlaceOfItsOwn) {
  const std::vector<BlockHash> given = {{kBegin + 64, 1234}};
  const Imprint imprint = make_imprint(three_blocks(), given);
  EXPECT_EQ(imprint.rows[1].contents, 1234U);
  EXPECT_NE(imprint.rows[0].contents, 1234U);
}

}  // namespace
}  // namespace heapscan

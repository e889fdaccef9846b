// Chunks with a mapping of their own among bytes that look like them.

#include "heap/glibc/mmapped_chunks.h"

#include <gmock/gmock.h>

#include "heap_expectations.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

using glibc::find_mmapped_chunks;
using glibc::MmappedCandidate;
using glibc::MmappedChunk;
using glibc::MmappedTotal;
using testing::ElementsAre;

constexpr Addr kRawMemory{0x7ff000000000};
constexpr uint64_t kMmapped = 2;

AddrRange raw_pages(uint64_t first, uint64_t count) {
  return AddrRange::sized(kRawMemory + first * kPage, count * kPage);
}

class MmappedMemory : public testing::Test {
 protected:
  // What the header of a chunk of so many pages looks like.
  void header(uint64_t page, uint64_t count) {
    process_.poke(kRawMemory + page * kPage + 8, (count * kPage) | kMmapped);
  }
  std::vector<AddrRange> found(MmappedTotal expected) {
    const MemoryImage image = process_.build();
    std::vector<AddrRange> memory;
    for (const Region& region : image.regions()) {
      if (region.range.begin() < kRawMemory ||
          region.range.begin() >= kRawMemory + (uint64_t{1} << 30))
        continue;
      if (!memory.empty() && memory.back().end() == region.range.begin()) {
        memory.back() = AddrRange(memory.back().begin(), region.range.end());
      } else {
        memory.push_back(region.range);
      }
    }
    std::vector<AddrRange> mappings;
    for (const MmappedChunk& chunk : find_mmapped_chunks(image, memory, expected, 0).chunks)
      mappings.push_back(chunk.mapping);
    return mappings;
  }
  FakeProcess process_;
};

MmappedTotal total(uint64_t count, uint64_t page_count) { return {count, page_count * kPage}; }

TEST_F(MmappedMemory, AHeaderThatReachesAcrossAGuardIsNone) {
  process_.map(kRawMemory, 10 * kPage);
  process_.map(kRawMemory + 10 * kPage, kPage).perms = {};
  process_.map(kRawMemory + 11 * kPage, 40 * kPage);
  header(4, 40);
  header(12, 34);
  EXPECT_THAT(found(total(1, 34)), ElementsAre(raw_pages(12, 34)));
}

TEST_F(MmappedMemory, TotalsTellWhichOfTwoThatOverlap) {
  process_.map(kRawMemory, 100 * kPage);
  header(10, 60);
  header(20, 40);
  EXPECT_THAT(found(total(1, 40)), ElementsAre(raw_pages(20, 40)));
}

TEST_F(MmappedMemory, TotalsFindWhatADecoyCovers) {
  process_.map(kRawMemory, 200 * kPage);
  header(3, 90);  // data
  header(50, 33);
  header(83, 34);
  header(117, 35);
  header(160, 5);  // data
  EXPECT_THAT(found(total(3, 102)),
              ElementsAre(raw_pages(50, 33), raw_pages(83, 34), raw_pages(117, 35)));
}

TEST_F(MmappedMemory, AGuardPageInABlockIsBelievedWhenTheTotalsNeedIt) {
  process_.map(kRawMemory, kPage);
  process_.map(kRawMemory + kPage, kPage).perms = {};
  process_.map(kRawMemory + 2 * kPage, 62 * kPage);
  process_.map(kRawMemory + 100 * kPage, 40 * kPage);
  header(0, 64);
  header(100, 40);
  EXPECT_THAT(found(total(2, 104)), ElementsAre(raw_pages(0, 64), raw_pages(100, 40)));
}

TEST_F(MmappedMemory, WhereTotalsCannotBeMetMemoryThatIsWritableCounts) {
  process_.map(kRawMemory, 50 * kPage);
  process_.map(kRawMemory + 50 * kPage, kPage).perms = {};
  process_.map(kRawMemory + 51 * kPage, 50 * kPage);
  header(0, 34);
  header(40, 30);
  EXPECT_THAT(found(total(1, 33)), ElementsAre(raw_pages(0, 34)));
}

TEST_F(MmappedMemory, ManyDecoysOfManyLengths) {
  process_.map(kRawMemory, 4000 * kPage);
  for (uint64_t i = 0; i < 300; ++i) header(3 + i * 7, 40 + i * 3 % 97);
  header(3000, 333);
  header(3333, 444);
  EXPECT_THAT(found(total(2, 777)), ElementsAre(raw_pages(3000, 333), raw_pages(3333, 444)));
}

TEST_F(MmappedMemory, OfTwoOfOneLengthTheOneThatIsReferencedIsMeant) {
  process_.map(kRawMemory, 400 * kPage);
  header(3, 40);
  header(100, 40);
  process_.poke(kRawMemory + 300 * kPage, kRawMemory + 100 * kPage + 16);
  EXPECT_THAT(found(total(1, 40)), ElementsAre(raw_pages(100, 40)));
  process_.poke(kRawMemory + 300 * kPage, kRawMemory + 3 * kPage + 16);
  EXPECT_THAT(found(total(1, 40)), ElementsAre(raw_pages(3, 40)));
}

TEST(ChooseMmapped, CandidatesBetweenEdgesAreCertain) {
  std::vector<MmappedCandidate> candidates;
  for (uint64_t i = 0; i < 5000; ++i) {
    MmappedCandidate candidate;
    candidate.chunk.mapping = raw_pages(i * 40, 40);
    candidate.writable = candidate.at_edge = candidate.to_edge = true;
    candidates.push_back(candidate);
  }
  MmappedCandidate decoy;
  decoy.chunk.mapping = raw_pages(5, 40);
  decoy.writable = true;
  candidates.push_back(decoy);
  const auto chosen = choose_mmapped(candidates, total(5000, 5000 * 40), 0);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->size(), 5000U);
  EXPECT_EQ(chosen->front().mapping, raw_pages(0, 40));
  EXPECT_FALSE(choose_mmapped(candidates, total(4999, 4999 * 40 - 1), 0));
  EXPECT_FALSE(choose_mmapped(candidates, total(0, 0), 0));
}

// A thread's memory is full of numbers; malloc knows better.
TEST(MmappedChunks, DecoysBesideRealOnesFailNoCheck) {
  FakeHeap fake(usual());
  fake.main().used(100);
  const Addr raw = fake.raw_mapping(0x40000);
  const Addr first = fake.mmapped(200000);
  const Addr second = fake.mmapped(300000);
  fake.seal();
  fake.process.poke(raw + 0x3008, 0x60000 | kMmapped);
  fake.process.poke(raw + 0x5008, 0x21000 | kMmapped);
  const HeapModel heap = fake.walk();
  expect_consistent(heap);
  expect_checks_pass(heap);
  EXPECT_EQ(state_at(heap, first), "used");
  EXPECT_EQ(state_at(heap, second), "used");
  EXPECT_EQ(state_at(heap, raw), "mapping");
}

}  // namespace
}  // namespace heapscan

#include <gtest/gtest.h>

#include <random>

#include "reach/why_possible.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

constexpr uint64_t kAreaBytes = 0x4000;
constexpr size_t kBlocks = 40;
constexpr size_t kHidden = 300;

bool is_start(const std::vector<Addr>& blocks, uint64_t value) {
  return std::find(blocks.begin(), blocks.end(), Addr(value)) != blocks.end();
}

// Byte by byte, as the words say it.
std::vector<Addr> unaligned_starts(const MemoryImage& image, AddrRange place,
                                   const std::vector<Addr>& blocks) {
  std::vector<Addr> found;
  for (Addr at = place.begin(); at + 8 <= place.end(); at = at + 1) {
    if (at.value % 8 != 0 && is_start(blocks, image.read<uint64_t>(at).value_or(0)))
      found.push_back(at);
  }
  return found;
}

TEST(HiddenPointers, AreTheSameHoweverManyPositionsAreComparedAtOnce) {
  FakeHeap fake(glibc::families().back());
  std::vector<Addr> blocks;
  for (size_t i = 0; i < kBlocks; ++i) blocks.push_back(fake.main().used(40));
  const Addr area = fake.raw_mapping(kAreaBytes);
  fake.seal();
  std::mt19937_64 random(1);
  for (uint64_t at = 0; at < kAreaBytes; at += 8) {
    // Text, numbers, and pointers that lead elsewhere.
    const uint64_t value = random();
    fake.process.poke(area + at, at % 24 == 0 ? value >> 17 : value);
  }
  for (size_t i = 0; i < kHidden; ++i) {
    const Addr block = blocks[random() % kBlocks];
    // Of the tagged ones some have marks in the lowest bits, too.
    const uint64_t tag = i % 3 == 0 ? (random() | 1) << 48 | random() % 8 : 0;
    const uint64_t at = random() % (kAreaBytes - 8);
    fake.process.poke(area + (tag != 0 ? at / 8 * 8 : at), block.value | tag);
  }
  const HeapModel heap = fake.walk();
  BlockBitmap candidates(heap.blocks.size());
  for (const Addr block : blocks) candidates.set(heap.block_at(block));
  for (const uint64_t begin : {0U, 8U, 40U}) {
    for (uint64_t cut = 0; cut < 70; cut += 7) {
      const AddrRange place(area + begin, area + kAreaBytes - cut);
      const std::vector<AddrRange> places = {place};
      const auto narrow =
          find_hidden_pointers(fake.image(), heap, candidates, places, Vectors::Sse2);
      std::vector<Addr> unaligned;
      size_t tagged = 0;
      for (const HiddenPointer& hidden : narrow) {
        tagged += hidden.tagged ? 1 : 0;
        if (!hidden.tagged) unaligned.push_back(hidden.at);
      }
      std::sort(unaligned.begin(), unaligned.end());
      EXPECT_EQ(unaligned, unaligned_starts(fake.image(), place, blocks));
      EXPECT_GT(tagged, kHidden / 6);
      for (const Vectors vectors : {Vectors::Avx2, Vectors::Avx512}) {
        if (vectors > widest_vectors()) continue;
        const auto wide = find_hidden_pointers(fake.image(), heap, candidates, places, vectors);
        EXPECT_EQ(wide, narrow) << begin << ", " << cut;
      }
    }
  }
}

}  // namespace
}  // namespace heapscan

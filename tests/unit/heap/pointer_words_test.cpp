#include "heapscan/heap/pointer_words.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "heapscan/heap/block_memory.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

// Two heaps far apart, whose blocks hold pointers into both, addresses just outside, numbers, and
// zeros.
struct PointersEverywhere {
  PointersEverywhere() : fake(glibc::families().back()) {
    std::mt19937_64 random(1);
    std::vector<Addr> blocks;
    FakeArena& other = fake.new_arena();
    for (size_t i = 0; i < 300; ++i) {
      FakeArena& arena = i % 3 == 0 ? other : fake.main();
      const uint64_t size = random() % 40 * 16 + 24;
      blocks.push_back(arena.used(size));
      sizes.push_back(size);
    }
    blocks.push_back(fake.mmapped(0x21000));
    sizes.push_back(0x21000);
    fake.seal();
    for (size_t i = 0; i < blocks.size(); ++i) {
      for (uint64_t at = 0; at + 8 <= sizes[i]; at += 8) {
        const uint64_t target = blocks[random() % blocks.size()].value;
        const uint64_t values[] = {target,
                                   target + random() % 64,
                                   target | uint64_t{1} << 48,
                                   random(),
                                   FakeHeap::kBreak.value - 8,
                                   0,
                                   0,
                                   0};
        fake.process.poke(blocks[i] + at, values[random() % std::size(values)]);
      }
    }
    heap = fake.walk();
  }
  FakeHeap fake;
  std::vector<uint64_t> sizes;
  HeapModel heap;
};

std::vector<uint64_t> near_words(const PointersEverywhere& world, AddrRange part) {
  std::vector<uint64_t> offsets;
  for (uint64_t at = 0; at + 8 <= part.size(); at += 8) {
    const auto word = world.fake.image().read<uint64_t>(part.begin() + at);
    if (word && world.heap.index.is_near(*word)) offsets.push_back(at);
  }
  return offsets;
}

TEST(PointerWords, AreTheWordsNearAHeapHoweverManyAreComparedAtOnce) {
  const PointersEverywhere world;
  size_t all = 0;
  for (const Vectors vectors : {Vectors::Sse2, Vectors::Avx2, Vectors::Avx512}) {
    if (vectors > widest_vectors()) continue;
    const PointerWords pointers(world.fake.image(), world.heap.index, vectors);
    for (const Block& block : world.heap.blocks.rows()) {
      const uint32_t range = world.heap.index.range_at(block.begin().value);
      if (block.size() == 0 || range == BlockIndex::kNoRange || !pointers.knows(range)) continue;
      for (const uint64_t cut : {uint64_t{0}, uint64_t{8}, block.size() / 16 * 8}) {
        const AddrRange part(block.begin() + cut, block.range().end());
        const std::vector<uint64_t> expected = near_words(world, part);
        std::vector<uint64_t> found;
        pointers.for_each(range, part.begin().value, part.size(),
                          [&](uint64_t at) { found.push_back(at); });
        EXPECT_EQ(found, expected);
        EXPECT_EQ(pointers.count(range, part.begin().value, part.size()), expected.size());
        EXPECT_EQ(pointers.any(range, part.begin().value, part.size()), !expected.empty());
        all += found.size();
      }
    }
  }
  EXPECT_GT(all, 1000U);
}

// Of a chunk with a mapping of its own nothing is known beforehand.
TEST(PointerWords, BlocksTellTheSameWhetherTheirWordsAreKnownOrNot) {
  PointersEverywhere world;
  const auto pointers_of_all = [&] {
    const BlockMemory memory(world.fake.image(), world.heap);
    std::vector<std::pair<Addr, uint64_t>> found;
    size_t known = 0;
    for (const Block& block : world.heap.blocks.rows()) {
      if (!block.is_judged()) continue;
      const uint32_t range = world.heap.index.range_at(block.begin().value);
      known += memory.tells_of(range) ? 1 : 0;
      memory.for_each_pointer(range, block.range(), [&](Addr begin, Bytes bytes, size_t at) {
        found.emplace_back(begin + at, load<uint64_t>(bytes.data() + at));
      });
    }
    return std::pair(known, found);
  };
  const auto [known, found] = pointers_of_all();
  world.heap.pointers = PointerWords();
  const auto [known_without, found_without] = pointers_of_all();
  EXPECT_EQ(known, 300U);
  EXPECT_EQ(known_without, 0U);
  EXPECT_EQ(found, found_without);
  EXPECT_GT(found.size(), 1000U);
}

}  // namespace
}  // namespace heapscan

// What std::pmr's resources have taken: buffers that know the one before, and lists of chunks.
#include <gtest/gtest.h>

#include "heapscan/symbols/symbols.h"
#include "identify/known_containers.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

constexpr uint64_t kMonotonic = FakeProgram::kStrong + 0x1000;  // vtables
constexpr uint64_t kPool = FakeProgram::kStrong + 0x1100;
constexpr uint64_t kArena = FakeProgram::kStrong + 0x2000;  // a variable
constexpr uint64_t kPools = FakeProgram::kStrong + 0x2100;

class MemoryResourcesTest : public testing::Test {
 protected:
  MemoryResourcesTest() { program_.set_is_executable(); }

  std::vector<KnownContainer> find() {
    world_ = program_.build();
    SymbolsBuilder builder(world_.image);
    const auto add = [&](std::string_view name, uint64_t at, uint64_t size) {
      builder.add(ModuleId(0), {.name = name, .address = Addr(at), .size = size});
    };
    add("_ZTVNSt3pmr25monotonic_buffer_resourceE", kMonotonic, 56);
    add("_ZTVNSt3pmr28unsynchronized_pool_resourceE", kPool, 56);
    add("_ZNSt3pmr28unsynchronized_pool_resourceC1ERKNS_12pool_optionsEPNS_15memory_resourceE",
        FakeProgram::kCode + 0x40, 64);
    add("arena", kArena, 64);
    add("pools", kPools, 80);
    symbols_ = builder.freeze();
    return find_memory_resources(world_.image, symbols_, world_.heap);
  }
  // A buffer of `size` bytes; `before` is the end of the one before. Its end.
  Addr buffer(uint64_t size, Addr before = Addr()) {
    buffers_.push_back(program_.block(size));
    const Addr end = buffers_.back() + size - 16;
    program_.poke(end, size | 3);  // its alignment in the low bits
    program_.poke(end + 8, before);
    return end;
  }
  [[nodiscard]] std::vector<BlockId> ids(const std::vector<Addr>& blocks) const {
    std::vector<BlockId> result;
    for (const Addr at : blocks) result.push_back(world_.heap.block_at(at));
    return result;
  }

  FakeProgram program_;
  std::vector<Addr> buffers_;
  FakeProgram::World world_;
  Symbols symbols_;
};

TEST_F(MemoryResourcesTest, BuffersFromTheNewestOn) {
  const Addr first = buffer(1024);
  const Addr second = buffer(2048, first);
  program_.poke(Addr(kArena), kMonotonic + 16);
  program_.poke(Addr(kArena) + 56, second);
  const auto found = find();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, "std::pmr::monotonic_buffer_resource");
  EXPECT_EQ(found[0].name, "arena");
  EXPECT_EQ(found[0].blocks, ids({buffers_[1], buffers_[0]}));
}

TEST_F(MemoryResourcesTest, ABufferOfAnotherSizeEndsTheChain) {
  const Addr first = buffer(1024);
  const Addr second = buffer(2048, first);
  program_.poke(first, uint64_t{512});
  program_.poke(Addr(kArena), kMonotonic + 16);
  program_.poke(Addr(kArena) + 56, second);
  const auto found = find();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].blocks, ids({buffers_[1]}));
}

TEST_F(MemoryResourcesTest, AResourceInABlockHasNoName) {
  const Addr request = program_.block(200);
  program_.poke(request + 24, kMonotonic + 16);
  program_.poke(request + 24 + 56, buffer(1024));
  const auto found = find();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].name, "");
  EXPECT_EQ(found[0].at, request + 24);
}

TEST_F(MemoryResourcesTest, AnotherFieldOfThatValueIsNoResource) {
  program_.poke(Addr(kArena), kMonotonic + 16);
  program_.poke(Addr(kArena) + 56, buffer(1024) - 8);
  EXPECT_TRUE(find().empty());
}

TEST_F(MemoryResourcesTest, OneThatHasTakenNothingIsLeftOut) {
  program_.poke(Addr(kArena), kMonotonic + 16);
  EXPECT_TRUE(find().empty());
}

TEST_F(MemoryResourcesTest, PoolsWithTheirChunksAndWhatWasTooLarge) {
  const Addr chunk = program_.block(1000);
  const Addr chunks = program_.block(40);
  const Addr pools = program_.block(104);
  const Addr large = program_.block(8000);
  const Addr list = program_.block(40);
  program_.poke(chunks, chunk);
  program_.poke(pools, chunks);
  program_.poke(list, large);
  program_.poke(Addr(kPools), kPool + 16);
  program_.poke(Addr(kPools) + 32, list);
  program_.poke(Addr(kPools) + 64, pools);
  const auto found = find();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, "std::pmr::unsynchronized_pool_resource");
  EXPECT_EQ(found[0].name, "pools");
  EXPECT_EQ(found[0].blocks, ids({pools, chunks, chunk, list, large}));
}

}  // namespace
}  // namespace heapscan

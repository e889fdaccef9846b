// GLib's containers as holds shows them: with all their nodes and how many entries they have.
#include <gtest/gtest.h>

#include "heapscan/symbols/symbols.h"
#include "identify/known_containers.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

constexpr uint64_t kHash = FakeProgram::kCode + 0x20;
constexpr uint64_t kQueueVariable = FakeProgram::kStrong + 0x2000;

class GlibContainersTest : public testing::Test {
 protected:
  GlibContainersTest() { program_.set_module_path("/usr/lib/libglib-2.0.so.0.7400.6"); }

  Addr block(const std::vector<uint64_t>& words, uint64_t size = 0) {
    const Addr at = program_.block(std::max<uint64_t>(size, 8 * words.size()));
    for (size_t i = 0; i < words.size(); ++i) program_.poke(at + 8 * i, words[i]);
    return at;
  }
  // Nodes {data, next, previous} that are linked both ways.
  std::vector<Addr> list(size_t length) {
    std::vector<Addr> nodes;
    for (size_t i = 0; i < length; ++i) {
      nodes.push_back(block({i + 1, 0, i == 0 ? 0 : nodes.back().value}));
      if (i > 0) program_.poke(nodes[i - 1] + 8, nodes[i]);
    }
    return nodes;
  }
  // {key, value, left, right, balance and children}
  Addr node(uint64_t left, uint64_t right, uint64_t flags) {
    return block({1, 2, left, right, flags});
  }
  static constexpr uint64_t kHasLeft = 0x100;
  static constexpr uint64_t kHasRight = 0x10000;

  std::vector<KnownContainer> find() {
    world_ = program_.build();
    SymbolsBuilder builder(world_.image);
    builder.add(ModuleId(0), {.name = "jobs", .address = Addr(kQueueVariable), .size = 24});
    symbols_ = builder.freeze();
    return find_glib_containers(world_.image, symbols_, world_.heap, clusters_, identities_);
  }
  [[nodiscard]] std::vector<BlockId> ids(const std::vector<Addr>& blocks) const {
    std::vector<BlockId> result;
    for (const Addr at : blocks) result.push_back(world_.heap.block_at(at));
    return result;
  }

  FakeProgram program_;
  FakeProgram::World world_;
  Symbols symbols_;
  Clusters clusters_;
  Identities identities_;
};

TEST_F(GlibContainersTest, ATableHasItsArrays) {
  const Addr keys = program_.block(128);
  const Addr hashes = program_.block(64);
  const Addr table = block({16, uint64_t{15} << 32 | 13, uint64_t{6} << 32 | 5, 0, keys.value,
                            hashes.value, keys.value, kHash, kHash, 1, 0, 0});
  const auto found = find();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, "GHashTable");
  EXPECT_EQ(found[0].entries, 5U);
  EXPECT_EQ(found[0].blocks, ids({table, keys, hashes, keys}));
}

TEST_F(GlibContainersTest, AQueueHasItsNodes) {
  const std::vector<Addr> nodes = list(5);
  const Addr queue = block({nodes.front().value, nodes.back().value, 5});
  const auto found = find();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, "GQueue");
  EXPECT_EQ(found[0].entries, 5U);
  EXPECT_EQ(found[0].blocks, ids({queue, nodes[0], nodes[1], nodes[2], nodes[3], nodes[4]}));
}

TEST_F(GlibContainersTest, AQueueInAVariableHasItsName) {
  const std::vector<Addr> nodes = list(2);
  program_.poke(Addr(kQueueVariable), nodes.front());
  program_.poke(Addr(kQueueVariable) + 8, nodes.back());
  program_.poke(Addr(kQueueVariable) + 16, uint64_t{2});
  const auto found = find();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].name, "jobs");
  EXPECT_EQ(found[0].at, Addr(kQueueVariable));
  EXPECT_EQ(found[0].blocks, ids(nodes));
}

TEST_F(GlibContainersTest, AQueueThatContradictsItselfIsNone) {
  const std::vector<Addr> nodes = list(5);
  const Addr first = nodes.front();
  const Addr last = nodes.back();
  block({first.value, last.value, 4});
  block({first.value, last.value, 6});
  block({first.value, nodes[3].value, 4});  // goes on behind its last
  block({nodes[1].value, last.value, 4});   // begins before its first
  block({first.value, first.value, 1});
  block({first.value, last.value, uint64_t{1} << 31});
  EXPECT_TRUE(find().empty());
}

TEST_F(GlibContainersTest, ATreeHasTheNodesThatAreChildren) {
  const Addr left = node(0, 0, 0);
  const Addr last = node(0, 0, 0);
  const Addr right = node(0, last.value, 1 | kHasRight);
  const Addr root = node(left.value, right.value, 1 | kHasLeft | kHasRight);
  program_.poke(left + 24, root);  // its neighbour, which is no child
  program_.poke(right + 16, root);
  program_.poke(last + 16, right);
  const Addr tree = block({root.value, kHash, 0, 0, 0, uint64_t{1} << 32 | 4}, 56);
  const auto found = find();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, "GTree");
  EXPECT_EQ(found[0].entries, 4U);
  EXPECT_EQ(found[0].blocks, ids({tree, root, right, last, left}));
}

TEST_F(GlibContainersTest, ATreeThatContradictsItselfIsNone) {
  const uint64_t references = uint64_t{1} << 32;
  const Addr leaf = node(0, 0, 0);
  const Addr root = node(leaf.value, 0, 0xff | kHasLeft);
  block({root.value, kHash, 0, 0, 0, references | 3}, 56);
  block({root.value, kHash, 0, 0, 0, references | 1}, 56);
  block({root.value, 0x1234, 0, 0, 0, references | 2}, 56);
  block({root.value, kHash, 0x1234, 0, 0, references | 2}, 56);
  block({root.value, kHash, 0, 0, 0, 2}, 56);
  const Addr ring = node(0, 0, kHasLeft);
  program_.poke(ring + 16, ring);
  block({ring.value, kHash, 0, 0, 0, references | 9}, 56);
  const Addr crooked = node(0, 0, 2);
  block({crooked.value, kHash, 0, 0, 0, references | 1}, 56);
  EXPECT_TRUE(find().empty());
}

TEST_F(GlibContainersTest, ArraysAreKnownByTheirLabels) {
  const Addr elements = program_.block(128);
  const Addr array = block({elements.value, uint64_t{16} << 32 | 12, 1, 0}, 40);
  const Addr lying = block({elements.value, uint64_t{16} << 32 | 4000, 1, 0}, 40);
  identities_.rows.push_back({"GPtrArray", TypeId::none(), {}});
  clusters_.rows.push_back({});
  const std::vector<BlockId> arrays = {BlockId(1), BlockId(2)};  // as they are laid out
  clusters_.members = BlockColumn<ClusterId>(arrays, {ClusterId(0), ClusterId(0)});
  const auto found = find();
  ASSERT_EQ(ids({array, lying}), arrays);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].kind, "GPtrArray");
  EXPECT_EQ(found[0].entries, 12U);
  EXPECT_EQ(found[0].blocks, ids({array, elements}));
}

}  // namespace
}  // namespace heapscan

#include "heapscan/triage/suppressions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "heapscan/symbols/symbols.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A program whose blocks are clustered by hand.
class Suppress : public ::testing::Test {
 protected:
  Addr block(uint64_t size, size_t cluster) {
    const Addr at = program_.block(size);
    cluster_of_[at] = cluster;
    return at;
  }
  void label(size_t cluster, std::string text) { labels_[cluster] = std::move(text); }

  void build(const SymbolRow& symbol = {}) {
    world_ = program_.build();
    SymbolsBuilder builder(world_.image);
    if (!symbol.name.empty()) builder.add(ModuleId(0), symbol);
    symbols_ = builder.freeze();
    reach_ = world_.trace();
    size_t count = 0;
    for (const auto& [at, cluster] : cluster_of_) count = std::max(count, cluster + 1);
    clusters_.rows = Column<ClusterId, Cluster>(count);
    identities_.rows = Column<ClusterId, Identity>(count);
    for (size_t i = 0; i < count; ++i) {
      clusters_.rows[ClusterId(i)].fingerprint = 0x1000000000000000 * (i + 1) + 0xabc;
      identities_.rows[ClusterId(i)].label = labels_[i];
    }
    std::vector<BlockId> members;
    std::vector<ClusterId> clusters;
    for (const auto& [at, cluster] : cluster_of_) {
      const BlockId id = world_.heap.block_at(at);
      Cluster& row = clusters_.rows[ClusterId(cluster)];
      members.push_back(id);
      clusters.emplace_back(cluster);
      row.samples.push_back(id);
      ++row.blocks;
      row.bytes += world_.heap.block(id).size();
    }
    clusters_.members = BlockColumn<ClusterId>(members, std::move(clusters));
  }

  [[nodiscard]] Suppressed suppressed(std::string_view rules) const {
    const ParsedSuppressions parsed = parse_suppressions(rules, "file");
    EXPECT_FALSE(parsed.problem);
    return suppress(parsed.rules, world_.image, symbols_, world_.runtime, world_.heap, reach_,
                    clusters_, identities_, code_);
  }
  [[nodiscard]] std::vector<Addr> addresses(std::string_view rules) const {
    std::vector<Addr> result;
    for (const BlockId id : suppressed(rules).blocks)
      result.push_back(world_.heap.block(id).begin());
    return result;
  }

  FakeProgram program_;
  std::map<Addr, size_t> cluster_of_;
  std::map<size_t, std::string> labels_;
  FakeProgram::World world_;
  Symbols symbols_;
  Reachability reach_;
  Clusters clusters_;
  Identities identities_;
  AllocatingCode code_;
};

TEST_F(Suppress, MatchesLabels) {
  const Addr one = block(24, 0);
  const Addr other = block(24, 1);
  label(0, "struct session");
  build();
  EXPECT_THAT(addresses("type:session"), ElementsAre(one));
  EXPECT_THAT(addresses("leak:^struct sess*n$"), ElementsAre(one));
  EXPECT_THAT(addresses("type:other"), IsEmpty());
  EXPECT_THAT(addresses("type:*"), ElementsAre(one)) << "what has no label matches no pattern";
  EXPECT_THAT(addresses("id:2000000000000abc"), ElementsAre(other));
  EXPECT_THAT(addresses("id:20000000"), ElementsAre(other));
}

TEST_F(Suppress, MatchesSizesOfSingleBlocks) {
  const Addr small = block(24, 0);
  const Addr middle = block(40, 0);
  const Addr large = block(1032, 0);
  build();
  EXPECT_THAT(addresses("size:24"), ElementsAre(small));
  EXPECT_THAT(addresses("size:40-2k"), ElementsAre(middle, large));
}

TEST_F(Suppress, MatchesWhatMostBlocksPointAt) {
  const Addr one = block(24, 0);
  const Addr two = block(24, 0);
  const Addr odd = block(24, 0);
  const Addr other = block(24, 1);
  for (const Addr at : {one, two}) program_.poke(at + 8, FakeProgram::kCode + 0x100);
  program_.poke(other, FakeProgram::kHeap);
  build({.name = "_ZN2ns8callbackEi", .address = Addr(FakeProgram::kCode + 0x100), .size = 16});
  EXPECT_THAT(addresses("leak:ns::callback"), ElementsAre(one, two, odd));
  EXPECT_THAT(addresses("leak:_ZN2ns8callback"), ElementsAre(one, two, odd));
  EXPECT_THAT(addresses("module:/fake/prog*m"), ElementsAre(one, two, odd));
  EXPECT_THAT(addresses("type:callback"), IsEmpty()) << "only labels are types";
}

TEST_F(Suppress, MatchesTheCodeThatAllocated) {
  const Addr one = block(24, 0);
  const Addr child = block(40, 1);
  const Addr other = block(56, 2);
  program_.poke(one, child);
  label(0, "struct session");
  build();
  EXPECT_THAT(addresses("leak:session_new"), IsEmpty()) << "nobody looked for it";
  code_ = AllocatingCode(3);
  code_[ClusterId(0)] = {"_ZN3net11session_newEi", "net::session_new(int)", "/src/session.cpp"};
  code_[ClusterId(2)] = {"main"};
  EXPECT_THAT(addresses("leak:^net::session_new"), ElementsAre(one, child));
  EXPECT_THAT(addresses("leak:session.cpp$"), ElementsAre(one, child));
  EXPECT_THAT(addresses("leak:main"), ElementsAre(other));
  EXPECT_THAT(addresses("type:session_new"), IsEmpty()) << "only labels are types";
  const auto by_code = [&](std::string_view rules) {
    std::vector<bool> result;
    for (const UsedSuppression& used : suppressed(rules).used) result.push_back(used.is_by_code);
    return result;
  };
  EXPECT_THAT(by_code("leak:session_new\nleak:main"), ElementsAre(true, true));
  EXPECT_THAT(by_code("leak:struct session"), ElementsAre(false)) << "its label is enough";
  EXPECT_THAT(by_code("size:56\nleak:main"), ElementsAre(false)) << "the first rule counts";
}

TEST_F(Suppress, TakesWhatHangsBelowAlong) {
  const Addr head = block(24, 0);
  const Addr child = block(40, 1);
  const Addr grandchild = block(56, 1);
  const Addr stranger = block(40, 1);
  program_.poke(head + 8, child);
  program_.poke(child, grandchild + 16);
  program_.poke(grandchild, head);
  label(0, "head");
  build();
  EXPECT_THAT(addresses("type:head"), ElementsAre(head, child, grandchild));
  const Suppressed result = suppressed("type:head");
  EXPECT_TRUE(result.has(world_.heap.block_at(child)));
  EXPECT_FALSE(result.has(world_.heap.block_at(stranger)));
}

TEST_F(Suppress, LeavesWhatLeadsToASuppressedBlock) {
  const Addr head = block(24, 0);
  const Addr child = block(40, 1);
  program_.poke(head, child);
  label(1, "child");
  build();
  EXPECT_THAT(addresses("type:child"), ElementsAre(child));
}

TEST_F(Suppress, TakesPossiblyLostBlocksAndMappingsBelow) {
  const Addr head = block(24, 0);
  const Addr possible = block(40, 1);
  const Addr mapping = program_.mapping(4096);
  const Addr below = block(24, 1);
  program_.weak_root(possible);
  program_.poke(head, possible);
  program_.poke(head + 8, mapping);
  program_.poke(mapping + 512, below);
  label(0, "head");
  build();
  ASSERT_EQ(world_.verdict(reach_, possible), Verdict::Possible);
  EXPECT_THAT(addresses("type:head"), ElementsAre(head, possible, below, mapping));
}

TEST_F(Suppress, NeverTakesReachableBlocks) {
  const Addr reachable = block(24, 0);
  const Addr head = block(24, 1);
  program_.strong_root(reachable);
  program_.poke(head, reachable);
  label(0, "any");
  label(1, "any");
  build();
  EXPECT_THAT(addresses("type:any"), ElementsAre(head));
}

TEST_F(Suppress, CountsEveryBlockForOneRule) {
  const Addr head = block(24, 0);
  const Addr matched = block(40, 1);
  const Addr unmatched = block(56, 2);
  program_.poke(head, matched);
  program_.poke(head + 8, unmatched);
  label(0, "head");
  label(1, "matched");
  build();
  const Suppressed result = suppressed("type:head\nleak:nothing\ntype:matched\nsize:24-40");
  ASSERT_THAT(result.used, SizeIs(2));
  EXPECT_EQ(result.used[0].rule, 0U);
  EXPECT_EQ(result.used[0].blocks, 2U);
  EXPECT_EQ(result.used[0].bytes, 24U + 56);
  EXPECT_EQ(result.used[1].rule, 2U);
  EXPECT_EQ(result.used[1].blocks, 1U);
}

TEST_F(Suppress, EndsOnRings) {
  const Addr one = block(24, 0);
  const Addr two = block(24, 0);
  program_.poke(one, two);
  program_.poke(two, one);
  program_.poke(two + 8, two);
  label(0, "ring");
  build();
  EXPECT_THAT(addresses("type:ring"), ElementsAre(one, two));
}

TEST_F(Suppress, NothingWithoutRules) {
  block(24, 0);
  build();
  EXPECT_THAT(addresses(""), IsEmpty());
}

}  // namespace
}  // namespace heapscan

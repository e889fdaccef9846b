#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "heapscan/identify/clusters.h"

namespace heapscan {
namespace {

class MakeClusters : public testing::Test {
 protected:
  // A family of every `step`th block from `first` on.
  void add(std::string label, bool unites, size_t first, size_t step, size_t blocks,
           uint64_t size) {
    const FamilyId id(families_.rows.size());
    Family row;
    row.portrait = 100 + id.index();
    row.blocks = blocks;
    row.bytes = blocks * size;
    row.sizes = {{size, blocks}};
    for (size_t i = 0; i < blocks; ++i) {
      members_.emplace_back(BlockId(first + i * step), id);
      sizes_[BlockId(first + i * step)] = size;
    }
    for (size_t i = 0; i < std::min(blocks, Family::kSamples); ++i)
      row.samples.emplace_back(first + i * step);
    families_.rows.push_back(std::move(row));
    Evidence evidence;
    evidence.kind = EvidenceKind::Vtable;
    evidence.label = std::move(label);
    evidence.samples = evidence.agreeing = 2;
    evidence.unites = unites;
    evidence_.rows.push_back({evidence});
  }
  void clear() {
    families_ = {};
    evidence_ = {};
    members_.clear();
    sizes_.clear();
  }

  std::pair<Clusters, Identities> made(std::string_view program = {}) {
    std::sort(members_.begin(), members_.end());
    for (const auto& [block, id] : members_) {
      families_.blocks.push_back(block);
      families_.family_of.push_back(id);
    }
    return make_clusters(heap(), families_, evidence_, program);
  }
  uint64_t fingerprint_of_first(std::string_view program) {
    return made(program).first.rows[ClusterId(0)].fingerprint;
  }

  [[nodiscard]] HeapModel heap() const {
    const size_t count = sizes_.rbegin()->first.index() + 1;
    HeapModel heap;
    heap.blocks = GrowingArray<Block>(count);
    for (size_t i = 0; i < count; ++i) {
      const auto size = sizes_.find(BlockId(i));
      heap.blocks.push_back(Block(Addr(0x10000 + 256 * i), size == sizes_.end() ? 24 : size->second,
                                  BlockState::Used, ArenaId(0)));
    }
    return heap;
  }

  Families families_;
  FamilyEvidence evidence_;
  std::vector<std::pair<BlockId, FamilyId>> members_;
  std::map<BlockId, uint64_t> sizes_;
};

TEST_F(MakeClusters, PartsOfContainersAreThoseOfOneProgram) {
  const auto id_in = [&](EvidenceKind kind, std::string_view program) {
    clear();
    add("text of std::string", true, 0, 1, 10, 40);
    evidence_.rows[FamilyId(0)][0].kind = kind;
    return fingerprint_of_first(program);
  };
  EXPECT_NE(id_in(EvidenceKind::Container, "shop"), id_in(EvidenceKind::Container, "bank"));
  EXPECT_EQ(id_in(EvidenceKind::Container, "shop"), id_in(EvidenceKind::Container, "shop"));
  EXPECT_EQ(id_in(EvidenceKind::Vtable, "shop"), id_in(EvidenceKind::Vtable, "bank"))
      << "a class is known by its name";
}

TEST_F(MakeClusters, ValuesOfALibraryAreThoseOfOneProgram) {
  const auto is_of_program = [&](const char* label, bool is_named_in_heap = false) {
    const auto id_in = [&](std::string_view program) {
      clear();
      add(label, true, 0, 1, 10, 40);
      evidence_.rows[FamilyId(0)][0].kind = EvidenceKind::Library;
      evidence_.rows[FamilyId(0)][0].quotes_heap = is_named_in_heap;
      return fingerprint_of_first(program);
    };
    return id_in("shop") != id_in("bank");
  };
  for (const char* label : {"Python str", "Python dict", "GVariant", "std::pair<int, char*>",
                            "std::shared_ptr<Row>[4]"})
    EXPECT_TRUE(is_of_program(label)) << label;
  for (const char* label : {"Python numpy.ndarray", "GtkButton", "struct session", "FILE"})
    EXPECT_FALSE(is_of_program(label)) << label;
  EXPECT_FALSE(is_of_program("Python Account", true)) << "a class that the program defines";
}

TEST(NameOfProgram, IsThatOfTheNextBuildToo) {
  const std::vector<std::pair<const char*, const char*>> names = {{"nginx", "nginx"},
                                                                  {"nginx-1.22.1", "nginx"},
                                                                  {"python3.11", "python"},
                                                                  {"app-v2", "app"},
                                                                  {"app_v2.0-rc", "app_v2.0-rc"},
                                                                  {"app_v2-3f9c2d17", "app"},
                                                                  {"server-20260131", "server"},
                                                                  {"bzip2", "bzip2"},
                                                                  {"worker1", "worker1"},
                                                                  {"ab12", "ab12"},
                                                                  {"app-deadbeef", "app-deadbeef"},
                                                                  {"1.2", "1.2"},
                                                                  {"", ""},
                                                                  {"-v1", "-v1"},
                                                                  {"3f9c2d17", "3f9c2d17"},
                                                                  {"-3f9c2d17", "-3f9c2d17"}};
  for (const auto& [name, stable] : names) EXPECT_EQ(without_version(name), stable) << name;
}

TEST_F(MakeClusters, NoTwoGroupsHaveOneId) {
  for (size_t i = 0; i < 3; ++i) add("", false, i, 3, 100 + i, 40);
  for (Family& row : families_.rows) row.portrait = 7;
  const auto [clusters, identities] = made();
  std::map<uint64_t, uint64_t> blocks;
  for (const Cluster& row : clusters.rows) blocks[row.fingerprint] = row.blocks;
  EXPECT_EQ(blocks.size(), 3U);
  clear();
  add("", false, 0, 1, 1, 40);
  families_.rows[FamilyId(0)].portrait = 7;
  EXPECT_EQ(blocks[fingerprint_of_first("")], 102U) << "the first keeps its own";
}

TEST_F(MakeClusters, WithoutANameLooksMarkAndProgramMakeTheFingerprint) {
  const auto id_of = [&](uint64_t portrait, uint64_t mark, std::string_view program) {
    clear();
    add("block pointing to idle_list", false, 0, 1, 10, 40);
    families_.rows[FamilyId(0)].portrait = portrait;
    families_.rows[FamilyId(0)].mark = mark;
    return fingerprint_of_first(program);
  };
  EXPECT_EQ(id_of(7, 0, "shop"), id_of(7, 0, "shop"));
  EXPECT_NE(id_of(7, 0, "shop"), id_of(8, 0, "shop"));
  EXPECT_NE(id_of(7, 0, "shop"), id_of(7, 1, "shop"));
  EXPECT_NE(id_of(7, 0, "shop"), id_of(7, 0, "bank"));
}

TEST_F(MakeClusters, OneClassIsOneCluster) {
  add("Other", true, 0, 3, 200, 64);
  add("Parser", true, 1, 3, 100, 40);
  add("Parser", true, 2, 3, 200, 56);
  const auto [clusters, identities] = made();
  ASSERT_EQ(clusters.rows.size(), 2U);
  const Cluster& parser = clusters.rows[ClusterId(0)];
  EXPECT_EQ(identities.rows[ClusterId(0)].label, "Parser");
  EXPECT_EQ(parser.blocks, 300U);
  EXPECT_EQ(parser.bytes, 100 * 40U + 200 * 56U);
  EXPECT_EQ(parser.sizes, (std::vector<std::pair<uint64_t, uint64_t>>{{40, 100}, {56, 200}}));
  EXPECT_EQ(parser.samples.size(), Cluster::kSamples);
  EXPECT_EQ(parser.samples.front(), BlockId(1));
  EXPECT_TRUE(std::is_sorted(parser.samples.begin(), parser.samples.end()));
  EXPECT_EQ(identities.rows[ClusterId(0)].evidence.front().samples, 4U);
  EXPECT_EQ(clusters.members.size(), parser.blocks + clusters.rows[ClusterId(1)].blocks);
  clusters.members.for_each([](BlockId block, ClusterId cluster) {
    EXPECT_EQ(cluster, ClusterId(block.index() % 3 == 0 ? 1 : 0));
  });
}

TEST_F(MakeClusters, TheFingerprintIsMadeFromTheName) {
  add("Parser", true, 0, 2, 10, 40);
  add("", false, 1, 2, 5, 40);
  const auto [clusters, identities] = made();
  const uint64_t parser = clusters.rows[ClusterId(0)].fingerprint;
  clear();
  add("", false, 0, 2, 50, 40);
  add("Parser", true, 1, 2, 7, 56);
  EXPECT_EQ(made().first.rows[ClusterId(1)].fingerprint, parser);
}

TEST_F(MakeClusters, ArraysOfDifferentLengthAreOneThing) {
  add("struct point[4]", true, 0, 3, 10, 40);
  add("struct point[8]", true, 1, 3, 10, 72);
  add("struct point[]", true, 2, 3, 10, 24);
  const auto [clusters, identities] = made();
  ASSERT_EQ(clusters.rows.size(), 2U);
  const Identity& points = identities.rows[ClusterId(0)];
  EXPECT_EQ(points.label, "array of struct point");
  EXPECT_EQ(points.evidence.front().label, points.label);
  EXPECT_EQ(points.evidence.front().samples, 4U);
  EXPECT_EQ(identities.rows[ClusterId(1)].label, "struct point[]");
}

TEST_F(MakeClusters, WhatOnlyLooksAlikeStaysApart) {
  add("block pointing to idle_list", false, 0, 2, 10, 40);
  add("block pointing to idle_list", false, 1, 2, 10, 56);
  EXPECT_EQ(made().first.rows.size(), 2U);
}

}  // namespace
}  // namespace heapscan

// The pipeline from an image to everything that is known of it, on a small heap.
#include "heapscan/analysis/analysis.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "analysis/interpreters.h"
#include "heapscan/base/error.h"
#include "support/fake_heap.h"

namespace heapscan {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr uint64_t kNumbers = 0x1234567890;

// One block that the program's data names; a chain of two blocks that nothing names, the second
// held by the first; forty blocks of one kind.
class AnalysisTest : public testing::Test {
 protected:
  AnalysisTest() : heap_(glibc::families().back()) {
    kept_ = heap_.main().used(40);
    heap_.process.poke(FakeProcess::kProgramData + 0x100, kept_);
    head_ = heap_.main().used(104);
    below_ = heap_.main().used(200);
    heap_.process.poke(head_ + 8, below_);
    for (uint64_t i = 0; i < 40; ++i) {
      const Addr block = heap_.main().used(56);
      heap_.process.poke(block, kNumbers + i);
      heap_.process.poke(block + 16, i + 1);
      alike_.push_back(block);
    }
    heap_.seal();
  }
  Analysis run(const AnalysisOptions& options = {}) {
    return analyze(heap_.process.build(), Symbols(), DebugInfo(), options);
  }
  static Verdict verdict(const Analysis& analysis, Addr block) {
    return analysis.reach.verdict(analysis.heap.block_at(block));
  }
  static ClusterId cluster_of(const Analysis& analysis, Addr block) {
    return analysis.clusters.of(analysis.heap.block_at(block));
  }

  FakeHeap heap_;
  Addr kept_;
  Addr head_;
  Addr below_;
  std::vector<Addr> alike_;
};

TEST_F(AnalysisTest, SaysOfEveryBlockWhoHoldsIt) {
  const Analysis analysis = run();
  EXPECT_EQ(verdict(analysis, kept_), Verdict::Reachable);
  EXPECT_EQ(verdict(analysis, head_), Verdict::Definite);
  EXPECT_EQ(verdict(analysis, below_), Verdict::Indirect);
  for (const Addr block : alike_) EXPECT_EQ(verdict(analysis, block), Verdict::Definite);
}

TEST_F(AnalysisTest, BlocksOfOneKindAreOneClusterWithAnIdentity) {
  const Analysis analysis = run();
  const ClusterId cluster = cluster_of(analysis, alike_.front());
  ASSERT_TRUE(cluster.valid());
  for (const Addr block : alike_) EXPECT_EQ(cluster_of(analysis, block), cluster);
  EXPECT_EQ(analysis.clusters.rows[cluster].blocks, alike_.size());
  EXPECT_EQ(analysis.identities.rows.size(), analysis.clusters.rows.size());
  EXPECT_NE(cluster_of(analysis, head_), cluster);
}

TEST_F(AnalysisTest, LiveBlocksAreClusteredOnlyWhenAskedFor) {
  EXPECT_FALSE(cluster_of(run(), kept_).valid());
}

TEST_F(AnalysisTest, LiveBlocksThatWereAskedForAreClustered) {
  AnalysisOptions options;
  options.clustered.add(Verdict::Reachable);
  const Analysis analysis = run(options);
  EXPECT_TRUE(cluster_of(analysis, kept_).valid());
  EXPECT_TRUE(cluster_of(analysis, head_).valid());
}

TEST_F(AnalysisTest, TheForestHasALostTreeBelowItsHead) {
  const Analysis analysis = run();
  const auto& trees = analysis.forest.trees;
  const auto tree = std::find_if(trees.begin(), trees.end(), [&](const LeakTree& t) {
    return t.example == analysis.heap.block_at(head_);
  });
  ASSERT_NE(tree, trees.end());
  EXPECT_EQ(tree->heads, 1U);
  EXPECT_EQ(tree->below, 1U);
}

TEST_F(AnalysisTest, WhatIsSuppressedLeavesTheForestAndKeepsItsVerdict) {
  AnalysisOptions options;
  options.suppressions = parse_suppressions("size:100-110", "rules").rules;
  ASSERT_THAT(options.suppressions, SizeIs(1));
  const Analysis analysis = run(options);
  const BlockId head = analysis.heap.block_at(head_);
  EXPECT_TRUE(analysis.suppressed.has(head));
  EXPECT_TRUE(analysis.suppressed.has(analysis.heap.block_at(below_)));
  for (const LeakTree& tree : analysis.forest.trees) EXPECT_NE(tree.example, head);
  EXPECT_EQ(verdict(analysis, head_), Verdict::Definite);
}

TEST_F(AnalysisTest, AnnouncesEveryStageAndTimesIt) {
  std::vector<std::string> announced;
  AnalysisOptions options;
  options.on_stage = [&](const std::string& stage) { announced.push_back(stage); };
  const Analysis analysis = run(options);
  std::vector<std::string> timed;
  for (const auto& [stage, seconds] : analysis.timing) {
    timed.push_back(stage);
    EXPECT_GE(seconds, 0);
  }
  EXPECT_EQ(announced, timed);
  EXPECT_THAT(announced, Contains("trace"));
  EXPECT_EQ(announced.front(), "find threads");
}

TEST_F(AnalysisTest, NotesOfAllStagesStandInTheOrderOfTheFlow) {
  heap_.process.poke(alike_[20] + 56, 0x4141414141414141);  // over the next chunk's size
  const Analysis analysis = run();
  EXPECT_THAT(analysis.heap.notes, Not(IsEmpty()));
  EXPECT_EQ(analysis.notes().size(), analysis.image.notes().size() + analysis.runtime.notes.size() +
                                         analysis.heap.notes.size() + analysis.roots.notes.size() +
                                         analysis.reach.notes.size() +
                                         analysis.identities.notes.size());
  EXPECT_EQ(verdict(analysis, kept_), Verdict::Reachable) << "what lies before the damage stays";
}

TEST(AnalysisOfOthers, OfInterpretersANoteSaysWhatTheyKeep) {
  for (const auto& [symbol, name] :
       {std::pair("Perl_sv_free2", "Perl's arenas"), std::pair("_PyRuntime", "CPython's arenas")}) {
    FakeProcess process;
    const MemoryImage image = process.build();
    EXPECT_THAT(find_interpreters(image, Symbols()), IsEmpty());
    SymbolsBuilder builder(image);
    builder.add(ModuleId(0),
                {.name = symbol, .address = Addr(FakeProcess::kProgramData), .size = 8});
    const Notes notes = find_interpreters(image, builder.freeze());
    ASSERT_THAT(notes, SizeIs(1));
    EXPECT_EQ(notes[0].kind, NoteKind::Allocator);
    EXPECT_EQ(notes[0].where, image.modules()[ModuleId(0)].file_name());
    EXPECT_THAT(notes[0].text, HasSubstr(name));
    EXPECT_THAT(notes[0].text, HasSubstr("not called leaked"));
  }
}

TEST(AnalysisOfOthers, AProgramWithoutAnAllocatorIsRefused) {
  FakeProcess process;
  try {
    (void)analyze(process.build(), Symbols());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Unsupported);
    EXPECT_THAT(error.what(), HasSubstr("allocator"));
  }
}

}  // namespace
}  // namespace heapscan

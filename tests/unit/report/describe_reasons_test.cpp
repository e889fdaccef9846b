// Why a block has its verdict, in words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "heapscan/base/text.h"
#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Report explained(const Analysis& analysis) { return describe(live_facts(), analysis, {}); }

TEST(DescribeReasons, SaysThatNothingNamesABlock) {
  JudgedProgram program;
  const Addr block = program.definite(40);
  const Analysis analysis = program.judge();
  EXPECT_THAT(explained(analysis).leaks.at(0).reasons,
              ElementsAre("no pointer to " + hex(block) + " found anywhere in the process"));
}

TEST(DescribeReasons, NamesTheNearestMiss) {
  JudgedProgram program;
  const Addr block = program.definite(40);
  const Addr freed = program.free_block(56);
  program.program().poke(freed + 16, block);
  const Analysis analysis = program.judge();
  const Report report = explained(analysis);
  ASSERT_THAT(report.leaks.at(0).reasons, SizeIs(1));
  EXPECT_THAT(report.leaks[0].reasons[0], HasSubstr(hex(block) + ": only a stale pointer in "));
  EXPECT_THAT(report.leaks[0].reasons[0], HasSubstr(hex(freed)));
}

TEST(DescribeReasons, NamesWhatHoldsAPossibleBlock) {
  JudgedProgram program;
  const Addr block = program.possible(40, Reason::Interior);
  const Addr word = program.program().strong_root(block + 8);
  const Analysis analysis = program.judge();
  const auto reasons = explained(analysis).leaks.at(0).reasons;
  ASSERT_THAT(reasons, SizeIs(2));
  EXPECT_EQ(reasons[0], std::string("1 block: ") + name_of(Reason::Interior));
  EXPECT_THAT(reasons[1], HasSubstr(hex(block) + " is referenced by"));
  EXPECT_THAT(reasons[1], HasSubstr(hex(word)));
}

TEST(DescribeReasons, SaysThatAWordIsNoLongerInUse) {
  JudgedProgram program;
  const Addr block = program.possible(40, Reason::StaleWord);
  const Addr word = program.program().strong_root(block);
  Analysis analysis = program.judge();
  StaleStore store;
  store.range = AddrRange::sized(word, 8);
  analysis.reach.stale.stores.push_back(store);
  analysis.reach.stale.stretches.push_back({store.range, 0});
  const auto reasons = explained(analysis).leaks.at(0).reasons;
  ASSERT_THAT(reasons, SizeIs(2));
  EXPECT_EQ(reasons[1], hex(block) + " is referenced by program data at " + hex(word) +
                            ", by a word that is no longer in use");
}

TEST(DescribeReasons, SaysBehindWhatTheWordsAreThatNameALeak) {
  JudgedProgram program;
  const Addr texts[] = {program.reachable(104), program.reachable(104)};
  const Addr lost[] = {program.definite(40), program.definite(40)};
  Analysis analysis = program.judge();
  for (uint32_t i = 0; i < 2; ++i) {
    StaleStore store;
    store.block = analysis.heap.block_at(texts[i]);
    store.range = AddrRange::sized(texts[i] + 48, 8);
    store.kind = StaleStore::Kind::BehindText;
    analysis.reach.stale.stores.push_back(store);
    analysis.reach.stale.stretches.push_back({store.range, i});
    analysis.reach.stale_held.push_back({analysis.heap.block_at(lost[i]), i});
  }
  EXPECT_EQ(explained(analysis).leaks.at(0).reasons.at(0),
            "2 blocks: held only by words behind the end of the text " + hex(texts[0]) +
                ", and of 1 more");
}

TEST(DescribeReasons, SurveysTheFirstMembers) {
  JudgedProgram program;
  const Addr first = program.definite(40);
  const Addr second = program.definite(40);
  program.definite(40);
  const Addr freed = program.free_block(56);
  program.program().poke(freed, second);
  program.program().poke(second, first);
  const Analysis analysis = program.judge();
  EXPECT_THAT(
      explained(analysis).leaks.at(0).reasons.back(),
      "of the first 3: 1 unreferenced, 1 referenced only by a stale pointer, 1 referenced only by "
      "a leaked block");
}

}  // namespace
}  // namespace heapscan

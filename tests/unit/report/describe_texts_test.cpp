#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;

Report texts_of(const Analysis& analysis) { return describe(live_facts(), analysis, {}); }

TEST(DescribeTexts, TextsShowUpToFiveOfTheirValues) {
  JudgedProgram program;
  program.label("text");
  for (const char* value :
       {"user anna", "user bert", "user anna", "user carl", "user dora", "user emil", "user fred"})
    program.definite(40, value);
  Analysis analysis = program.judge();
  analysis.clusters.rows[ClusterId(0)].shape = Shape::Text;
  EXPECT_THAT(texts_of(analysis).leaks.at(0).strings,
              ElementsAre("such as \"user anna\", \"user bert\", \"user carl\", \"user dora\", "
                          "\"user emil\""));
}

TEST(DescribeTexts, ShowsTheTextThatBlocksPointAt) {
  JudgedProgram program;
  for (int i = 0; i < 4; ++i) {
    program.label("struct user");
    const Addr user = program.definite(40);
    program.label("text");
    const Addr name = program.definite(40, "the name of a user");
    program.program().poke(user + 16, name + (i % 2 == 0 ? 0 : 4));
  }
  const Analysis analysis = program.judge();
  const Report report = texts_of(analysis);
  EXPECT_THAT(report.leaks.at(0).strings_behind,
              ElementsAre("+0x10 -> text such as \"the name of a user\", \"name of a user\""));
}

TEST(DescribeTexts, ShowsTheTextThatHangsFurtherBelow) {
  JudgedProgram program;
  for (int i = 0; i < 3; ++i) {
    program.label("object");
    const Addr head = program.definite(40);
    program.label("");
    const Addr table = program.indirect(56, head);
    const Addr leaf = program.indirect(72, head);
    program.program().poke(head, table);
    program.program().poke(table + 8, leaf);
    program.program().poke(leaf + 16, 0x632f736e65732f31);  // "1/sens/c", and on
    program.program().poke(leaf + 24, 0x656c6c6172);
  }
  const Analysis analysis = program.judge();
  const Report report = texts_of(analysis);
  ASSERT_EQ(report.leaks.at(0).label, "object");
  EXPECT_THAT(report.leaks.at(0).strings_behind, ElementsAre("below \"1/sens/cralle\""));
}

}  // namespace
}  // namespace heapscan

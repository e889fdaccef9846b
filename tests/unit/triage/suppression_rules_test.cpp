#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "heapscan/triage/suppressions.h"

namespace heapscan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::string problem_of(std::string_view text) {
  const ParsedSuppressions parsed = parse_suppressions(text, "file");
  return parsed.problem ? parsed.problem->text : "";
}

TEST(SuppressionRules, AreOnePerLine) {
  const auto parsed = parse_suppressions(
      "# known\n\n  leak:foo*bar  \r\n\ttype:^struct a$\nmodule:libz\nsize:256\nsize:1k-4k\n"
      "id:0123456789abcdef",
      "my.supp");
  EXPECT_FALSE(parsed.problem);
  ASSERT_THAT(parsed.rules, SizeIs(6));
  EXPECT_EQ(parsed.rules[0].kind, SuppressionKind::Leak);
  EXPECT_EQ(parsed.rules[0].pattern, "foo*bar");
  EXPECT_EQ(parsed.rules[0].source, "my.supp:3");
  EXPECT_EQ(parsed.rules[1].kind, SuppressionKind::Type);
  EXPECT_EQ(parsed.rules[1].pattern, "^struct a$");
  EXPECT_EQ(parsed.rules[2].kind, SuppressionKind::Module);
  EXPECT_EQ(parsed.rules[3].min_size, 256U);
  EXPECT_EQ(parsed.rules[3].max_size, 256U);
  EXPECT_EQ(parsed.rules[4].min_size, 1024U);
  EXPECT_EQ(parsed.rules[4].max_size, 4096U);
  EXPECT_EQ(parsed.rules[5].kind, SuppressionKind::Id);
  EXPECT_EQ(parsed.rules[5].source, "my.supp:8");
}

TEST(SuppressionRules, OnlyWholeLinesAreComments) {
  EXPECT_EQ(parse_suppressions("leak:a # b", "f").rules.at(0).pattern, "a # b");
}

TEST(SuppressionRules, SayWhatIsWrongAndHowToWriteIt) {
  EXPECT_THAT(problem_of("leek:foo"), AllOf(HasSubstr("\"leek:foo\""), HasSubstr("leak:PATTERN")));
  EXPECT_THAT(problem_of("foo"), HasSubstr("is not a rule"));
  EXPECT_THAT(problem_of("leak:  "), HasSubstr("* for everything"));
  for (const char* line : {"size:x", "size:4k-1k", "size:-1", "size:1-", "size:1-2-3"})
    EXPECT_THAT(problem_of(line), HasSubstr("1k-4k")) << line;
  for (const char* line : {"id:123", "id:0123456789abcdef0", "id:0123456g"})
    EXPECT_THAT(problem_of(line), HasSubstr("hexadecimal digits")) << line;
  EXPECT_THAT(problem_of("\x1b[31m"), AllOf(HasSubstr("\\x1b"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(problem_of(std::string(1 << 20, 'x')), SizeIs(testing::Lt(1000)));
}

TEST(SuppressionRules, KnowTheLineOfAProblem) {
  const auto parsed = parse_suppressions("leak:a\n#\nbad\nleak:b\n", "f");
  ASSERT_TRUE(parsed.problem);
  EXPECT_EQ(parsed.problem->line, 3U);
  EXPECT_THAT(parsed.rules, SizeIs(1));
}

TEST(SuppressionRules, AnEmptyFileHasNone) {
  EXPECT_THAT(parse_suppressions("", "f").rules, IsEmpty());
  EXPECT_THAT(parse_suppressions("\n\n# x", "f").rules, IsEmpty());
}

TEST(SuppressionRules, BuiltInOnesSayWhy) {
  for (const SuppressionRule& rule : builtin_suppressions()) {
    EXPECT_EQ(rule.source, "built in");
    EXPECT_THAT(rule.reason, Not(IsEmpty()));
    EXPECT_THAT(rule.pattern, Not(IsEmpty()));
  }
}

}  // namespace
}  // namespace heapscan

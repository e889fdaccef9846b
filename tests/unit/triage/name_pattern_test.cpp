#include "heapscan/triage/name_pattern.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

bool matches(std::string_view pattern, std::string_view name) {
  return NamePattern(pattern).matches(name);
}

TEST(NamePattern, MatchesAnywhere) {
  EXPECT_TRUE(matches("foo", "foo"));
  EXPECT_TRUE(matches("foo", "a_foo_b"));
  EXPECT_FALSE(matches("foo", "fo"));
  EXPECT_FALSE(matches("foo", "f-o-o"));
}

TEST(NamePattern, AnchorsTieItToBeginAndEnd) {
  EXPECT_TRUE(matches("^foo", "foobar"));
  EXPECT_FALSE(matches("^foo", "a foo"));
  EXPECT_TRUE(matches("foo$", "a foo"));
  EXPECT_FALSE(matches("foo$", "foobar"));
  EXPECT_TRUE(matches("^foo$", "foo"));
  EXPECT_FALSE(matches("^foo$", "foofoo"));
  EXPECT_TRUE(matches("foo$", "foofoo")) << "the last place counts, not the first";
}

TEST(NamePattern, AsteriskStandsForAnything) {
  EXPECT_TRUE(matches("a*c", "abc"));
  EXPECT_TRUE(matches("a*c", "ac"));
  EXPECT_FALSE(matches("a*c", "ca"));
  EXPECT_TRUE(matches("^a*b*c$", "a-b-b-c-c"));
  EXPECT_FALSE(matches("^a*b*c$", "a-b-c-d"));
  EXPECT_TRUE(matches("^*foo", "a foo"));
  EXPECT_TRUE(matches("foo*$", "foobar"));
  EXPECT_TRUE(matches("**", "x"));
  EXPECT_FALSE(matches("ab*ba", "aba")) << "pieces do not overlap";
}

TEST(NamePattern, NothingMatchesNoName) {
  for (const char* pattern : {"*", "", "^", "$", "^$", "foo"}) EXPECT_FALSE(matches(pattern, ""));
}

TEST(NamePattern, DollarEndsThePattern) {
  EXPECT_TRUE(matches("foo$bar", "a foo"));
  EXPECT_FALSE(matches("$", "foo"));
  EXPECT_FALSE(matches("^$", "foo"));
}

// Exponential or quadratic work would not end in the time a test has.
TEST(NamePattern, TakesHostileNamesInItsStride) {
  const std::string name(1 << 20, 'a');
  EXPECT_FALSE(matches(std::string(1 << 19, 'a') + "b", name));
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "a*";
  EXPECT_FALSE(matches(many + "b", name));
  EXPECT_TRUE(matches(many, name));
}

}  // namespace
}  // namespace heapscan

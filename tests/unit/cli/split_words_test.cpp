#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/split_words.h"
#include "heapscan/base/error.h"

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SplitWords, TakesALineApartAsAShellDoes) {
  EXPECT_THAT(split_words("find  job -n 3\t"), ElementsAre("find", "job", "-n", "3"));
  EXPECT_THAT(split_words("grep 'GET /' \"a \\\"b\\\" c\""),
              ElementsAre("grep", "GET /", "a \"b\" c"));
  EXPECT_THAT(split_words("a'b c'd e\\ f"), ElementsAre("ab cd", "e f"));
  EXPECT_THAT(split_words("grep '\"42\"' ''"), ElementsAre("grep", "\"42\"", ""));
  EXPECT_THAT(split_words("   "), IsEmpty());
}

TEST(SplitWords, RefusesAQuoteThatDoesNotEnd) {
  EXPECT_THROW((void)split_words("grep 'GET"), Error);
  EXPECT_THROW((void)split_words("grep \"GET"), Error);
  EXPECT_THAT(split_words("grep GET\\"), ElementsAre("grep", "GET\\"));
}

}  // namespace
}  // namespace heapscan

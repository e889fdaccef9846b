#include "heapscan/report/find.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace heapscan {
namespace {

std::string found(const std::string& what) {
  FindReport report;
  report.what = what;
  report.total = {4, 96};
  std::ostringstream out;
  render_text(report, false, out);
  return out.str();
}

TEST(Find, SaysOnceThatBlocksWereLookedFor) {
  EXPECT_THAT(found("blocks that are definite"),
              testing::HasSubstr("found  96 B in 4 blocks that are definite\n"));
  EXPECT_THAT(found("\"blocks\" that are definite"),
              testing::HasSubstr("found  96 B in 4 blocks: \"blocks\" that are definite\n"));
}

}  // namespace
}  // namespace heapscan

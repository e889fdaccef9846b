#include "cli/keep_capture.h"

#include <gtest/gtest.h>

#include "heapscan/base/error.h"

namespace heapscan {
namespace {

const NameParts kParts{4711, "web1", 1700000000};

TEST(SnapshotName, HasItsPartsFilledIn) {
  EXPECT_EQ(expanded_name("a.core", kParts), "a.core");
  EXPECT_EQ(expanded_name("%h/%p-%t.core.zst", kParts), "web1/4711-1700000000.core.zst");
  EXPECT_EQ(expanded_name("100%%.%p%p", kParts), "100%.47114711");
}

TEST(SnapshotName, WithAnotherLetterIsRefused) {
  for (const char* pattern : {"%e.core", "core.%", "%P"}) {
    EXPECT_THROW((void)expanded_name(pattern, kParts), Error) << pattern;
  }
}

TEST(SnapshotName, SaysWhetherItNamesTheProcess) {
  EXPECT_TRUE(names_pid("a%p"));
  EXPECT_FALSE(names_pid("a%%p"));
  EXPECT_FALSE(names_pid("a%h"));
}

}  // namespace
}  // namespace heapscan

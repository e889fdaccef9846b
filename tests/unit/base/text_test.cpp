#include "heapscan/base/text.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

TEST(HumanBytes, UnitsAndRounding) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1023), "1,023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(uint64_t{39} << 20), "39.0 MiB");
  EXPECT_EQ(human_bytes(~uint64_t{0}), "16.0 EiB");
}

TEST(Grouped, ThousandsAreSeparated) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(3104220), "3,104,220");
}

TEST(Counted, OneAndMany) {
  EXPECT_EQ(counted(1, "block"), "1 block");
  EXPECT_EQ(counted(0, "block"), "0 blocks");
  EXPECT_EQ(counted(2000, "block"), "2,000 blocks");
}

TEST(Escaped, NothingReachesTheTerminalRaw) {
  EXPECT_EQ(escaped("plain text"), "plain text");
  EXPECT_EQ(escaped("\x1b[31mred\x07"), "\\x1b[31mred\\x07");
  EXPECT_EQ(escaped("a\nb\tc\\"), "a\\nb\\tc\\\\");
  EXPECT_EQ(escaped("\xc3\xa9\x9b"), "\\xc3\\xa9\\x9b");
  EXPECT_EQ(escaped(std::string_view("\0x", 2)), "\\x00x");
}

TEST(ParseSize, AcceptsWhatPeopleWrite) {
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("4096"), 4096U);
  EXPECT_EQ(parse_size("10k"), 10240U);
  EXPECT_EQ(parse_size("4M"), uint64_t{4} << 20);
  EXPECT_EQ(parse_size("1G"), uint64_t{1} << 30);
  EXPECT_EQ(parse_size("0x20"), 32U);
}

TEST(ParseSize, RefusesEverythingElse) {
  for (const char* text : {"", "k", "0x", "12q", "-1", " 1", "1 ", "0x1k2", "18446744073709551616",
                           "99999999999999999G", "1.5k"}) {
    EXPECT_FALSE(parse_size(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace heapscan

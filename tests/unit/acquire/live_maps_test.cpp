// The text of maps and smaps, well-formed and not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "acquire/proc_files.h"

namespace heapscan {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kMaps =
    "555555554000-555555556000 r-xp 00001000 fe:01 1234567                    /usr/bin/my program "
    "(v2)\n"
    "555555556000-555555558000 rw-p 00000000 00:00 0                          [heap]\n"
    "7ffff7a00000-7ffff7a01000 ---p 00000000 00:00 0 \n"
    "7ffff7b00000-7ffff7b02000 rw-s 00002000 00:05 77                         /dev/shm/a\\012b "
    "(deleted)\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

TEST(LiveMaps, EveryFieldIsRead) {
  Notes notes;
  const auto maps = parse_maps(kMaps, notes);
  ASSERT_THAT(maps, SizeIs(5));
  EXPECT_THAT(notes, IsEmpty());
  EXPECT_EQ(maps[0].range, AddrRange(Addr(0x555555554000), Addr(0x555555556000)));
  EXPECT_EQ(maps[0].perms, (Perms{true, false, true, false}));
  EXPECT_EQ(maps[0].file_offset, 0x1000U);
  EXPECT_EQ(maps[0].device_major, 0xfeU);
  EXPECT_EQ(maps[0].device_minor, 1U);
  EXPECT_EQ(maps[0].inode, 1234567U);
  EXPECT_EQ(maps[0].path, "/usr/bin/my program (v2)");
  EXPECT_EQ(maps[1].path, "[heap]");
  EXPECT_EQ(maps[2].perms, Perms{});
  EXPECT_EQ(maps[2].path, "");
  EXPECT_EQ(maps[3].path, "/dev/shm/a\nb (deleted)");
  EXPECT_TRUE(maps[3].perms.shared);
  EXPECT_EQ(maps[4].range.begin().value, 0xffffffffff600000U);
}

TEST(LiveMaps, NothingInNothingOut) {
  Notes notes;
  EXPECT_THAT(parse_maps("", notes), IsEmpty());
  EXPECT_THAT(parse_smaps("", notes), IsEmpty());
  EXPECT_THAT(notes, IsEmpty());
}

class BadLine : public ::testing::TestWithParam<const char*> {};

TEST_P(BadLine, IsLeftOutAndNoted) {
  Notes notes;
  EXPECT_THAT(parse_maps(GetParam(), notes), IsEmpty());
  EXPECT_THAT(notes, SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(
    LiveMaps, BadLine,
    ::testing::Values("garbage\n", "1000-2000\n", "1000-2000 rw-p\n", "2000-1000 rw-p 0 0:0 0\n",
                      "1000-1000 rw-p 0 0:0 0\n", "1001-2000 rw-p 0 0:0 0\n",
                      "1000-11111111111111111111 rw-p 0 0:0 0\n", "1000-2000 rw-p x 0:0 0\n",
                      "1000-2000 rw-p 0 100000000:0 0\n", "1000-2000 rw-p 0 0:0 \n",
                      "-1000-2000 rw-p 0 0:0 0\n", "\n"));

TEST(LiveMaps, OverlapsAndDisorderAreLeftOut) {
  Notes notes;
  const auto maps = parse_maps(
      "3000-6000 rw-p 00000000 00:00 0 \n"
      "4000-5000 rw-p 00000000 00:00 0 \n"
      "1000-2000 rw-p 00000000 00:00 0 \n"
      "6000-7000 rw-p 00000000 00:00 0",
      notes);
  ASSERT_THAT(maps, SizeIs(2));
  EXPECT_EQ(maps[1].range.begin(), Addr(0x6000));
  EXPECT_THAT(notes, SizeIs(2));
}

TEST(LiveMaps, SmapsTellUseAndDevices) {
  Notes notes;
  const auto uses = parse_smaps(
      "1000-3000 rw-p 00000000 00:00 0 \n"
      "Size:                  8 kB\n"
      "Rss:                   4 kB\n"
      "Swap:                 12 kB\n"
      "SwapPss:              99 kB\n"
      "VmFlags: rd wr mr mw me ac \n"
      "4000-5000 rw-s 00000000 00:06 9   /dev/dri/card0\n"
      "Rss:                   0 kB\n"
      "VmFlags: rd wr sh mr mw io pf de dd \n"
      "6000-7000 rw-p 00000000 00:00 0 \n"
      "Rss:                   99999999999999999999999 kB\n"
      "VmFlags: rd iox pfx\n",
      notes);
  ASSERT_THAT(uses, SizeIs(3));
  EXPECT_EQ(uses[0].resident_bytes, 4096U);
  EXPECT_EQ(uses[0].swapped_bytes, 3 * 4096U);
  EXPECT_FALSE(uses[0].device_memory);
  EXPECT_TRUE(uses[1].device_memory);
  EXPECT_FALSE(uses[2].device_memory);
  EXPECT_EQ(use_of(uses, {Addr(0x2000), Addr(0x3000)}), &uses[0]);
  EXPECT_EQ(use_of(uses, {Addr(0x3000), Addr(0x4000)}), nullptr);
  EXPECT_EQ(use_of(uses, {Addr(0x8000), Addr(0x9000)}), nullptr);
}

}  // namespace
}  // namespace heapscan

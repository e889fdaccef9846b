#include "heapscan/elf/elf_file.h"

#include <gtest/gtest.h>

#include "support/elf_writer.h"

namespace heapscan {
namespace {

ByteString note(std::string_view owner, uint32_t type, const ByteString& content, size_t align) {
  ByteString out;
  append(out, Elf64_Nhdr{static_cast<uint32_t>(owner.size() + 1),
                         static_cast<uint32_t>(content.size()), type});
  append_text(out, owner);
  out.resize((out.size() + align - 1) / align * align);
  out.insert(out.end(), content.begin(), content.end());
  out.resize((out.size() + align - 1) / align * align);
  return out;
}

size_t count(const ByteString& bytes, uint64_t align, bool& whole) {
  size_t found = 0;
  whole = for_each_elf_note(bytes, align, [&](const ElfNote&) {
    ++found;
    return true;
  });
  return found;
}

TEST(ElfNotes, PaddingFollowsTheAlignment) {
  for (const size_t align : {size_t{4}, size_t{8}}) {
    ByteString bytes = note("CORE", 1, pattern(5), align);
    const ByteString second = note("GNU", NT_GNU_BUILD_ID, pattern(20), align);
    bytes.insert(bytes.end(), second.begin(), second.end());
    bool whole = false;
    EXPECT_EQ(count(bytes, align, whole), 2U);
    EXPECT_TRUE(whole);
    EXPECT_EQ(find_build_id(bytes, align).size(), 40U);
  }
}

TEST(ElfNotes, EveryTruncationEndsTheWalk) {
  ByteString bytes = note("CORE", 1, pattern(64), 4);
  const size_t first = bytes.size();
  const ByteString second = note("LINUX", 2, pattern(64), 4);
  bytes.insert(bytes.end(), second.begin(), second.end());
  for (size_t size = 1; size < bytes.size(); ++size) {
    bool whole = true;
    const size_t found =
        count(ByteString(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)), 4, whole);
    EXPECT_EQ(found, size < first ? 0U : 1U);
    EXPECT_EQ(whole, size == first);
  }
}

TEST(ElfNotes, AbsurdSizesEndTheWalk) {
  for (const uint32_t size : {0xffffffffU, 0xfffffff0U, 0x7fffffffU}) {
    ByteString bytes;
    append(bytes, Elf64_Nhdr{size, size, 1});
    bytes.resize(64);
    bool whole = true;
    EXPECT_EQ(count(bytes, 4, whole), 0U);
    EXPECT_FALSE(whole);
  }
}

TEST(ElfNotes, AbsurdBuildIdsAreNone) {
  EXPECT_EQ(find_build_id(note("GNU", NT_GNU_BUILD_ID, {}, 4), 4), "");
  EXPECT_EQ(find_build_id(note("GNU", NT_GNU_BUILD_ID, pattern(1000), 4), 4), "");
  EXPECT_EQ(find_build_id(note("GNA", NT_GNU_BUILD_ID, pattern(20), 4), 4), "");
}

}  // namespace
}  // namespace heapscan

#include "heapscan/elf/compression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zstd.h>

#include "heapscan/base/error.h"
#include "support/elf_writer.h"

namespace heapscan {
namespace {

using testing::HasSubstr;

ByteString packed_by_zstd(const ByteString& bytes) {
  ByteString out(ZSTD_compressBound(bytes.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

ByteString content(const UnpackedFile& file) {
  const MappedMemory memory = MappedMemory::map_file(file.file, file.size, "unpacked");
  return {memory.bytes().begin(), memory.bytes().end()};
}

std::string error_of(const ByteString& bytes, uint64_t limit = uint64_t{1} << 40) {
  try {
    (void)unpack_zstd(bytes, "core.zst", limit);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Acquire);
    return error.what();
  }
  return "no error";
}

TEST(UnpackZstd, GivesTheBytesBack) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{3'000'001}}) {
    const ByteString bytes = pattern(size);
    const ByteString small = packed_by_zstd(bytes);
    EXPECT_TRUE(has_zstd_magic(small));
    EXPECT_EQ(content(unpack_zstd(small, "core.zst")), bytes);
  }
}

TEST(UnpackZstd, FramesFollowEachOther) {
  ByteString both = packed_by_zstd(pattern(5000, 1));
  const ByteString second = packed_by_zstd(pattern(7000, 2));
  both.insert(both.end(), second.begin(), second.end());
  ByteString expected = pattern(5000, 1);
  const ByteString rest = pattern(7000, 2);
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(content(unpack_zstd(both, "core.zst")), expected);
}

TEST(UnpackZstd, ZeroPagesBecomeHoles) {
  ByteString bytes(size_t{80} << 20);
  bytes[1000] = std::byte{1};
  bytes[bytes.size() - 1] = std::byte{2};
  const UnpackedFile file = unpack_zstd(packed_by_zstd(bytes), "core.zst");
  struct stat status;
  ASSERT_EQ(::fstat(file.file.get(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);
  EXPECT_EQ(content(file), bytes);
}

TEST(UnpackZstd, DamageIsNamed) {
  const ByteString good = packed_by_zstd(pattern(100'000));
  const ByteString cut(good.begin(), good.begin() + 12);
  EXPECT_THAT(error_of(cut), HasSubstr("cut off"));
  ByteString damaged = good;
  damaged[damaged.size() / 2] ^= std::byte{0xff};
  damaged[9] ^= std::byte{0xff};
  EXPECT_THAT(error_of(damaged), HasSubstr("damaged"));
}

TEST(UnpackZstd, WhatComesBeforeDamageIsGiven) {
  const ByteString first = packed_by_zstd(pattern(300'000, 1));
  ByteString both = first;
  const ByteString second = packed_by_zstd(pattern(300'000, 2));
  both.insert(both.end(), second.begin(), second.end() - 5);
  const UnpackedFile cut = unpack_zstd(both, "core.zst");
  EXPECT_THAT(cut.incomplete, HasSubstr("cut off"));
  ASSERT_GE(cut.size, 300'000U);
  ByteString begin = content(cut);
  begin.resize(300'000);
  EXPECT_EQ(begin, pattern(300'000, 1));
  ByteString tail = first;
  tail.resize(tail.size() + 100, std::byte{0x55});
  const UnpackedFile odd = unpack_zstd(tail, "core.zst");
  EXPECT_THAT(odd.incomplete, HasSubstr("damaged"));
  EXPECT_EQ(content(odd), pattern(300'000, 1));
  EXPECT_EQ(unpack_zstd(first, "core.zst").incomplete, "");
}

TEST(UnpackZstd, ABombIsStopped) {
  EXPECT_THAT(error_of(packed_by_zstd(ByteString(size_t{20} << 20)), 1 << 20),
              HasSubstr("larger than 1.0 MiB"));
}

}  // namespace
}  // namespace heapscan

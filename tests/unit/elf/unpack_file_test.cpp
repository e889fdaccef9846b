#include "heapscan/elf/compression.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lz4frame.h>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <thread>

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

ByteString packed_by_gzip(const ByteString& bytes) {
  constexpr int kGzip = 16;
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, MAX_WBITS + kGzip, 8, Z_DEFAULT_STRATEGY), Z_OK);
  ByteString out(deflateBound(&stream, bytes.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

ByteString core_packed_by_xz(const ByteString& bytes) {
  ByteString out(lzma_stream_buffer_bound(bytes.size()));
  size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, nullptr,
                                    reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                                    reinterpret_cast<uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

ByteString packed_by_lz4(const ByteString& bytes) {
  ByteString out(LZ4F_compressFrameBound(bytes.size(), nullptr));
  out.resize(LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), nullptr));
  return out;
}

ByteString joined(ByteString first, const ByteString& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

ByteString content(const UnpackedFile& file) {
  const MappedMemory memory = MappedMemory::map_file(file.file, file.size, "unpacked");
  return {memory.bytes().begin(), memory.bytes().end()};
}

std::string error_of(const ByteString& bytes, uint64_t limit = uint64_t{1} << 40) {
  try {
    (void)unpack_file(bytes, "core.zst", limit);
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
    EXPECT_EQ(packing_of(small), Packing::Zstd);
    EXPECT_EQ(content(unpack_file(small, "core.zst")), bytes);
  }
}

TEST(UnpackZstd, FramesFollowEachOther) {
  ByteString both = packed_by_zstd(pattern(5000, 1));
  const ByteString second = packed_by_zstd(pattern(7000, 2));
  both.insert(both.end(), second.begin(), second.end());
  ByteString expected = pattern(5000, 1);
  const ByteString rest = pattern(7000, 2);
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(content(unpack_file(both, "core.zst")), expected);
}

TEST(UnpackZstd, ZeroPagesBecomeHoles) {
  ByteString bytes(size_t{80} << 20);
  bytes[1000] = std::byte{1};
  bytes[bytes.size() - 1] = std::byte{2};
  const UnpackedFile file = unpack_file(packed_by_zstd(bytes), "core.zst");
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
  const UnpackedFile cut = unpack_file(both, "core.zst");
  EXPECT_THAT(cut.incomplete, HasSubstr("cut off"));
  ASSERT_GE(cut.size, 300'000U);
  ByteString begin = content(cut);
  begin.resize(300'000);
  EXPECT_EQ(begin, pattern(300'000, 1));
  ByteString tail = first;
  tail.resize(tail.size() + 100, std::byte{0x55});
  const UnpackedFile odd = unpack_file(tail, "core.zst");
  EXPECT_THAT(odd.incomplete, HasSubstr("damaged"));
  EXPECT_EQ(content(odd), pattern(300'000, 1));
  EXPECT_EQ(unpack_file(first, "core.zst").incomplete, "");
}

TEST(UnpackZstd, ABombIsStopped) {
  EXPECT_THAT(error_of(packed_by_zstd(ByteString(size_t{20} << 20)), 1 << 20),
              HasSubstr("larger than 1.0 MiB"));
}

// ---- the same of all of them --------------------------------------------------------------------

struct Packer {
  const char* name;
  Packing packing;
  ByteString (*pack)(const ByteString& bytes);
};

class UnpackFile : public testing::TestWithParam<Packer> {
 protected:
  [[nodiscard]] static ByteString packed(const ByteString& bytes) { return GetParam().pack(bytes); }
};

TEST_P(UnpackFile, GivesTheBytesBack) {
  for (const size_t size : {size_t{1}, size_t{4096}, size_t{3'000'001}}) {
    const ByteString small = packed(pattern(size));
    EXPECT_EQ(packing_of(small), GetParam().packing);
    EXPECT_EQ(name_of(packing_of(small)), std::string(GetParam().name));
    const UnpackedFile file = unpack_file(small, "core");
    EXPECT_EQ(file.incomplete, "");
    EXPECT_EQ(content(file), pattern(size));
  }
}

TEST_P(UnpackFile, PartsFollowEachOther) {
  const ByteString both = joined(packed(pattern(5000, 1)), packed(pattern(7000, 2)));
  EXPECT_EQ(content(unpack_file(both, "core")), joined(pattern(5000, 1), pattern(7000, 2)));
}

TEST_P(UnpackFile, WhatIsCutOffIsGivenUpToThere) {
  ByteString cut = packed(pattern(300'000, 1));
  cut = joined(std::move(cut), packed(pattern(300'000, 2)));
  cut.resize(cut.size() - 9);
  const UnpackedFile file = unpack_file(cut, "core");
  EXPECT_EQ(file.incomplete, std::string("its ") + GetParam().name + " data is cut off");
  ASSERT_GE(file.size, 300'000U);
  ByteString begin = content(file);
  begin.resize(300'000);
  EXPECT_EQ(begin, pattern(300'000, 1));
}

TEST_P(UnpackFile, NothingAtAllIsAnError) {
  ByteString cut = packed(pattern(1000));
  cut.resize(8);
  EXPECT_THAT(error_of(cut), HasSubstr("data is cut off"));
}

TEST_P(UnpackFile, DamageIsNamed) {
  const ByteString tail = joined(packed(pattern(300'000)), ByteString(100, std::byte{0x55}));
  const UnpackedFile file = unpack_file(tail, "core");
  EXPECT_THAT(file.incomplete,
              HasSubstr(std::string("its ") + GetParam().name + " data is damaged ("));
  EXPECT_EQ(content(file), pattern(300'000));
}

TEST_P(UnpackFile, ABombIsStopped) {
  EXPECT_THAT(error_of(packed(ByteString(size_t{20} << 20)), 1 << 20),
              HasSubstr("larger than 1.0 MiB"));
}

TEST_P(UnpackFile, ZeroPagesBecomeHoles) {
  ByteString bytes(size_t{16} << 20);
  bytes[1000] = std::byte{1};
  const UnpackedFile file = unpack_file(packed(bytes), "core");
  struct stat status {};
  ASSERT_EQ(::fstat(file.file.get(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);
  EXPECT_EQ(content(file), bytes);
}

// A pipe gives what it has: here a byte, then the rest.
UnpackedFile through_a_pipe(const ByteString& bytes) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  const Fd reading(ends[0]);
  std::thread writer([&, writing = Fd(ends[1])] {
    size_t at = 0;
    while (at < bytes.size()) {
      const size_t size = at == 0 ? 1 : bytes.size() - at;
      const ssize_t put = ::write(writing.get(), bytes.data() + at, size);
      if (put <= 0) break;
      at += static_cast<size_t>(put);
    }
  });
  UnpackedFile file = unpack_stream(reading, "a pipe");
  writer.join();
  return file;
}

TEST_P(UnpackFile, APipeGivesTheSame) {
  const ByteString bytes = pattern(3'000'001);
  EXPECT_EQ(content(through_a_pipe(packed(bytes))), bytes);
}

TEST(UnpackStream, WhatIsNotPackedIsCopied) {
  EXPECT_EQ(content(through_a_pipe(pattern(3'000'001))), pattern(3'000'001));
  EXPECT_EQ(through_a_pipe({}).size, 0U);
}

TEST(UnpackStream, WhatCannotBeReadIsAnError) {
  const Fd folder(::open("/", O_RDONLY | O_DIRECTORY));
  try {
    (void)unpack_stream(folder, "a folder");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot read a folder: Is a directory"));
  }
}

TEST(UnpackGzip, ZerosBehindTheEndAreNoDamage) {
  const UnpackedFile file =
      unpack_file(joined(packed_by_gzip(pattern(1000)), ByteString(512)), "core");
  EXPECT_EQ(file.incomplete, "");
  EXPECT_EQ(content(file), pattern(1000));
}

INSTANTIATE_TEST_SUITE_P(All, UnpackFile,
                         testing::Values(Packer{"zstd", Packing::Zstd, packed_by_zstd},
                                         Packer{"gzip", Packing::Gzip, packed_by_gzip},
                                         Packer{"xz", Packing::Xz, core_packed_by_xz},
                                         Packer{"lz4", Packing::Lz4, packed_by_lz4}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace heapscan

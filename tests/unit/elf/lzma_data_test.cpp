#include "heapscan/elf/compression.h"

#include <gtest/gtest.h>
#include <lzma.h>

#include <algorithm>
#include <vector>

namespace heapscan {
namespace {

std::vector<std::byte> packed_by_xz(const std::vector<std::byte>& bytes) {
  std::vector<std::byte> out(bytes.size() + 4096);
  size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr,
                                    reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                                    reinterpret_cast<uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

TEST(UnpackXz, GivesBackWhatWasPacked) {
  std::vector<std::byte> bytes(300'000, std::byte{7});
  bytes[123'456] = std::byte{1};
  const auto unpacked = unpack_xz(packed_by_xz(bytes), bytes.size());
  ASSERT_TRUE(unpacked);
  EXPECT_TRUE(std::ranges::equal(unpacked->bytes(), bytes));
}

TEST(UnpackXz, RefusesWhatIsTooLarge) {
  const std::vector<std::byte> bytes(300'000);
  EXPECT_FALSE(unpack_xz(packed_by_xz(bytes), bytes.size() - 1));
}

TEST(UnpackXz, RefusesWhatIsDamaged) {
  const std::vector<std::byte> sound = packed_by_xz(std::vector<std::byte>(1000, std::byte{7}));
  EXPECT_FALSE(unpack_xz({}, 1 << 20));
  EXPECT_FALSE(unpack_xz(Bytes(sound).first(sound.size() - 1), 1 << 20));
  for (size_t i = 0; i < sound.size(); ++i) {
    std::vector<std::byte> damaged = sound;
    damaged[i] ^= std::byte{0x40};
    EXPECT_FALSE(unpack_xz(damaged, 1 << 20)) << i;
  }
}

}  // namespace
}  // namespace heapscan

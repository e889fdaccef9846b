#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>

#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/growing_array.h"

namespace heapscan {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

TEST(Fd, ClosesOnceAndMoves) {
  int number = -1;
  {
    Fd first = Fd::open_read("/dev/null");
    ASSERT_TRUE(first.valid());
    number = first.get();
    Fd second = std::move(first);
    EXPECT_FALSE(first.valid());
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Fd, MissingFileSetsErrno) {
  EXPECT_FALSE(Fd::open_read("/nonexistent/file").valid());
  EXPECT_EQ(errno, ENOENT);
}

TEST(ReadTextFile, ReadsFilesWithoutASizeAndStopsAtTheLimit) {
  EXPECT_NE(read_text_file("/proc/self/status").find("Pid:"), std::string::npos);
  EXPECT_EQ(read_text_file("/nonexistent/file"), "");
  EXPECT_LE(read_text_file("/dev/zero", 100000).size(), 100000U + 16384U);
}

TEST(MappedMemory, ReservedPagesReadAsZeroAndDiscardedOnesAgain) {
  MappedMemory memory = MappedMemory::reserve(3 * 4096);
  EXPECT_EQ(memory.data()[4096], std::byte{0});
  memory.data()[100] = std::byte{1};
  memory.data()[2 * 4096] = std::byte{2};
  memory.discard_from(101);
  EXPECT_EQ(memory.data()[100], std::byte{1});
  EXPECT_EQ(memory.data()[2 * 4096], std::byte{0});
}

TEST(MappedMemory, ImpossibleReservationIsAnError) {
  EXPECT_THROW(static_cast<void>(MappedMemory::reserve(uint64_t{1} << 60)), Error);
}

TEST(MappedMemory, MovesLeaveTheSourceEmpty) {
  MappedMemory a = MappedMemory::reserve(4096);
  MappedMemory b = std::move(a);
  EXPECT_EQ(a.size(), 0U);
  EXPECT_EQ(b.size(), 4096U);
  b = MappedMemory();
  EXPECT_EQ(b.data(), nullptr);
}

TEST(GrowingArray, GrowsInPlaceUpToItsCapacity) {
  GrowingArray<uint64_t> array(1000);
  array.push_back(7);
  const uint64_t* const first = array.data();
  for (uint64_t i = 1; i < 1000; ++i) array.push_back(i);
  EXPECT_EQ(array.data(), first);
  EXPECT_EQ(array.size(), 1000U);
  EXPECT_DEATH(array.push_back(1), "size_ < capacity_");
}

TEST(GrowingArray, ResizedRowsAreZero) {
  GrowingArray<uint64_t> array(100000);
  array.resize(100000);
  EXPECT_EQ(array[99999], 0U);
  array[5] = 5;
  array.resize(1);
  array.shrink_memory();
  array.resize(100000);
  EXPECT_EQ(array[50000], 0U);
}

}  // namespace
}  // namespace heapscan

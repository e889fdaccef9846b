#include "heapscan/base/addr.h"

#include <gtest/gtest.h>

#include "heapscan/base/bytes.h"
#include "heapscan/base/id.h"
#include "heapscan/base/parallel.h"

namespace heapscan {
namespace {

constexpr uint64_t kMost = ~uint64_t{0};

TEST(Addr, ArithmeticSaturates) {
  EXPECT_EQ(Addr(kMost - 1) + 5, Addr(kMost));
  EXPECT_EQ(Addr(3) - 5, Addr(0));
  EXPECT_EQ(Addr(3) - Addr(5), 0U);
  EXPECT_EQ(Addr(9) - Addr(5), 4U);
}

TEST(Addr, AlignmentNearTheTop) {
  EXPECT_EQ(Addr(0x1001).align_up(16), Addr(0x1010));
  EXPECT_EQ(Addr(0x1010).align_up(16), Addr(0x1010));
  EXPECT_EQ(Addr(kMost).align_up(4096), Addr(~uint64_t{4095}));
  EXPECT_EQ(Addr(0x1fff).align_down(4096), Addr(0x1000));
}

TEST(AddrRange, EndBelowBeginIsEmpty) {
  const AddrRange range(Addr(10), Addr(5));
  EXPECT_TRUE(range.empty());
  EXPECT_EQ(range.size(), 0U);
  EXPECT_FALSE(range.contains(Addr(10)));
}

TEST(AddrRange, SizedSaturates) { EXPECT_EQ(AddrRange::sized(Addr(kMost - 3), 100).size(), 3U); }

TEST(AddrRange, IntersectAndOverlap) {
  const AddrRange a(Addr(10), Addr(20));
  EXPECT_TRUE(a.overlaps({Addr(19), Addr(30)}));
  EXPECT_FALSE(a.overlaps({Addr(20), Addr(30)}));
  EXPECT_EQ(a.intersect({Addr(15), Addr(30)}), AddrRange(Addr(15), Addr(20)));
  EXPECT_TRUE(a.intersect({Addr(25), Addr(30)}).empty());
}

TEST(Id, NoneIsNotValid) {
  EXPECT_FALSE(BlockId::none().valid());
  EXPECT_TRUE(BlockId(0).valid());
  EXPECT_EQ(BlockId(), BlockId::none());
}

TEST(Bytes, ReadsStayInside) {
  const std::byte data[6] = {std::byte{1}, std::byte{2}, std::byte{3},
                             std::byte{4}, std::byte{5}, std::byte{0}};
  const Bytes bytes(data);
  EXPECT_EQ(read_at<uint32_t>(bytes, 0), 0x04030201U);
  EXPECT_FALSE(read_at<uint32_t>(bytes, 3).has_value());
  EXPECT_FALSE(read_at<uint32_t>(bytes, kMost).has_value());
  EXPECT_FALSE(slice(bytes, 4, kMost).has_value());
  EXPECT_EQ(slice(bytes, 4, 2)->size(), 2U);
  EXPECT_EQ(string_at(bytes, 3).size(), 2U);
  EXPECT_TRUE(string_at(bytes, 6).empty());
}

TEST(Parallel, PiecesCoverEachIndexOnce) {
  for (const size_t count : {0U, 1U, 9U, 10U, 11U}) {
    std::vector<int> seen(count);
    parallel_for_pieces(count, 5, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) ++seen[i];
    });
    for (const int times : seen) EXPECT_EQ(times, 1);
  }
}

TEST(Parallel, ThreadLimitIsInForceWhileItLives) {
  const ThreadLimit limit(1);
  EXPECT_EQ(ThreadLimit::current(), 1U);
}

}  // namespace
}  // namespace heapscan

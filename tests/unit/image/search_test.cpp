#include "heapscan/image/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

#include "heapscan/base/parallel.h"

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A region of `size` bytes from `begin` on that is zero but for what is put in it.
class SearchedImage {
 public:
  SearchedImage(uint64_t begin, size_t size) : begin_(begin), bytes_(size) {}

  template <typename T>
  SearchedImage& put(uint64_t at, T value) {
    std::memcpy(bytes_.data() + (at - begin_), &value, sizeof value);
    return *this;
  }
  SearchedImage& put_text(uint64_t at, std::string_view text) {
    std::memcpy(bytes_.data() + (at - begin_), text.data(), text.size());
    return *this;
  }
  [[nodiscard]] MemoryImage freeze() const {
    ImageBuilder builder;
    Region region;
    region.range = AddrRange::sized(Addr(begin_), bytes_.size());
    region.contents = Contents::Saved;
    region.bytes = builder.keep_copy(bytes_);
    builder.add_region(region);
    return builder.freeze();
  }

 private:
  uint64_t begin_;
  std::vector<std::byte> bytes_;
};

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(FindNumbers, FindsThoseInTheRangeAtMultiplesOfTheirWidth) {
  const MemoryImage image = SearchedImage(0x1000, 0x100)
                                .put<uint64_t>(0x1008, 0x7000)
                                .put<uint64_t>(0x1010, 0x7010)
                                .put<uint64_t>(0x1018, 0x7011)
                                .put<uint64_t>(0x1024, 0x7008)
                                .freeze();
  const Hits hits = find_numbers(image, 0x7000, 0x7010, 8, 10);
  EXPECT_THAT(hits.first, ElementsAre(Addr(0x1008), Addr(0x1010)));
  EXPECT_EQ(hits.total, 2U);
  EXPECT_THAT(find_numbers(image, 0x7008, 0x7008, 4, 10).first, ElementsAre(Addr(0x1024)));
  EXPECT_THAT(find_numbers(image, 0x11, 0x11, 1, 10).first, ElementsAre(Addr(0x1018)));
  EXPECT_THAT(find_numbers(image, 2, 1, 8, 10).first, IsEmpty());
}

TEST(FindNumbers, KeepsTheLowestAndCountsAllWhateverTheThreads) {
  constexpr size_t kSize = size_t{9} << 20;
  SearchedImage made(0x1000, kSize);
  for (uint64_t at = 0x1000; at < 0x1000 + kSize; at += 0x1000) made.put<uint64_t>(at, 42);
  const MemoryImage image = made.freeze();
  for (const unsigned threads : {1U, 4U}) {
    const ThreadLimit limit(threads);
    const Hits hits = find_numbers(image, 42, 42, 8, 3);
    EXPECT_THAT(hits.first, ElementsAre(Addr(0x1000), Addr(0x2000), Addr(0x3000)));
    EXPECT_EQ(hits.total, kSize / 0x1000);
  }
}

TEST(FindNumbers, MissesNoneAcrossTheCutsOfASearchThatBeginsAtAnOddPlace) {
  constexpr uint64_t kBegin = 0x1004;
  constexpr uint64_t kCut = kBegin + (uint64_t{4} << 20);
  const MemoryImage image =
      SearchedImage(kBegin, size_t{5} << 20).put<uint64_t>(kCut - 4, 0x7000).freeze();
  EXPECT_THAT(find_numbers(image, 0x7000, 0x7000, 8, 10).first, ElementsAre(Addr(kCut - 4)));
}

TEST(FindBytes, FindsThemAtAnyAddressAndAcrossTheCutsOfTheSearch) {
  constexpr uint64_t kCut = 0x1000 + (uint64_t{4} << 20);
  const MemoryImage image = SearchedImage(0x1000, size_t{5} << 20)
                                .put_text(0x1003, "session")
                                .put_text(kCut - 3, "session")
                                .put_text(kCut + 16, "session")
                                .freeze();
  EXPECT_THAT(find_bytes(image, bytes_of("session"), 10).first,
              ElementsAre(Addr(0x1003), Addr(kCut - 3), Addr(kCut + 16)));
  EXPECT_EQ(find_bytes(image, bytes_of("sessions"), 10).total, 0U);
  EXPECT_EQ(find_bytes(image, {}, 10).total, 0U);
}

TEST(FindBytes, CountsOccurrencesThatOverlap) {
  const MemoryImage image = SearchedImage(0x1000, 64).put_text(0x1000, "aaaa").freeze();
  EXPECT_THAT(find_bytes(image, bytes_of("aa"), 2).first, ElementsAre(Addr(0x1000), Addr(0x1001)));
  EXPECT_EQ(find_bytes(image, bytes_of("aa"), 2).total, 3U);
}

}  // namespace
}  // namespace heapscan

#include "sites/texts.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace heapscan {
namespace {

// Blocks of `usable` bytes that begin with these, each behind whatever was there.
class TextSamples {
 public:
  TextSamples(const std::vector<std::string>& begins, size_t usable) {
    for (const std::string& begin : begins) {
      blocks_.push_back(begin + '\0' + std::string(usable, '\x01'));
      blocks_.back().resize(usable);
    }
  }
  [[nodiscard]] Texts texts() const {
    std::vector<BlockBytes> samples;
    for (const std::string& block : blocks_)
      samples.push_back({Addr(0x1000), std::as_bytes(std::span(block))});
    return texts_in(samples);
  }

 private:
  std::vector<std::string> blocks_;
};

TEST(Texts, AreTextWhereTheyEndInTheBlock) {
  const Texts texts = TextSamples({"one", "another", "a third"}, 24).texts();
  EXPECT_TRUE(texts.are_all());
  EXPECT_EQ(texts.lengths, (std::vector<uint64_t>{3, 7, 7}));
}

TEST(Texts, OfFewBytesMustFillTheirBlock) {
  EXPECT_TRUE(TextSamples({"x", "yz", "q"}, 24).texts().are_all());
  EXPECT_FALSE(TextSamples({"x", "yz", "q"}, 120).texts().are_all());
  EXPECT_TRUE(TextSamples({"eight or more", "as many again"}, 120).texts().are_all());
}

TEST(Texts, AreNoneWhereTheSameNumberStandsAgainAndAgain) {
  EXPECT_FALSE(
      TextSamples({"A", "A", "A", "A", "B", "A", "A", "A", "B", "A"}, 24).texts().are_all());
}

TEST(Texts, AreNoneWithOtherBytes) {
  EXPECT_FALSE(TextSamples({"\xd0rUUUU", "\xe0rUUUU", "\xf0rUUUU"}, 24).texts().are_all());
  EXPECT_FALSE(TextSamples({"a\x02", "b\x02", "c\x02"}, 24).texts().are_all());
}

TEST(Texts, FitWhereTheBlockIsAsLargeAsTheirLengthNeeds) {
  const Texts texts = TextSamples({std::string(39, 'a'), std::string(20, 'b')}, 40).texts();
  const Share share = share_that_fits(texts, 1);
  EXPECT_EQ(share.asked, 2U);
  EXPECT_EQ(share.yes, 1U) << "the shorter one would lie in a block of 24 bytes";
  EXPECT_EQ(share_that_fits(TextSamples({"any", "other"}, 24).texts(), 1).asked, 0U);
}

}  // namespace
}  // namespace heapscan

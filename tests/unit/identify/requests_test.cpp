#include "heapscan/identify/requests.h"

#include <gtest/gtest.h>

#include "identify/known_values.h"

namespace heapscan {
namespace {

TEST(Requests, BlocksAreFilledUpToWhatMallocLeaves) {
  EXPECT_TRUE(fills(40, 40));
  EXPECT_TRUE(fills(40, 64));
  EXPECT_FALSE(fills(40, 72));
  EXPECT_FALSE(fills(48, 40));
  EXPECT_TRUE(fills(32, 40, kRoundingSlack));
  EXPECT_FALSE(fills(24, 40, kRoundingSlack));
  EXPECT_TRUE(fills(kSmallestMapping, kSmallestMapping + kPage + kBlockSlack));
}

TEST(Requests, AnyNumberOfBytesMayHaveBeenAskedFor) {
  const Requests asked = requests_for(Block(Addr(16), 40, BlockState::Used, ArenaId(0)));
  EXPECT_TRUE(asked.has(25));
  EXPECT_FALSE(asked.has(24));
  EXPECT_TRUE(requests_for(Block(Addr(16), 24, BlockState::Used, ArenaId(0))).has(0));
}

TEST(StandardObjects, StringsKeepShortTextsInThemselves) {
  const Addr at(0x1000);
  EXPECT_TRUE((StringObject{at, 0x1010, 15, ~uint64_t{0}}).is_sound());
  EXPECT_FALSE((StringObject{at, 0x1010, 16, ~uint64_t{0}}).is_sound());
  EXPECT_TRUE((StringObject{at, 0x2000, 30, 30}).is_sound());
  EXPECT_FALSE((StringObject{at, 0x2000, 31, 30}).is_sound());
}

TEST(StandardObjects, VectorsAreInOrder) {
  EXPECT_TRUE((VectorObject{0, 0, 0}).is_sound());
  EXPECT_TRUE((VectorObject{8, 8, 16}).is_sound());
  EXPECT_FALSE((VectorObject{0, 0, 16}).is_sound());
  EXPECT_FALSE((VectorObject{16, 8, 24}).is_sound());
  EXPECT_FALSE((VectorObject{8, 24, 16}).is_sound());
}

}  // namespace
}  // namespace heapscan

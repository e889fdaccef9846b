// What is left of a small heap, word by word.
#include "cli/reduce_content.h"

#include <gtest/gtest.h>

#include <cstring>

#include "support/fake_heap.h"

namespace heapscan {
namespace {

class ReducedContent : public testing::Test {
 protected:
  ReducedContent() : heap_(glibc::families().back()) {
    block_ = heap_.main().used(120);
    other_ = heap_.main().used(56);
    freed_ = heap_.main().binned(200);
    (void)heap_.main().used(40);
  }
  // What is left of the word at `at`.
  uint64_t left(Addr at, Content level = Content::Pointers) {
    if (!model_) {
      heap_.seal();
      model_.emplace(heap_.walk());
    }
    const RuntimeFacts runtime;
    const ContentRules rules = rules_of_content(heap_.image(), runtime, &*model_, level);
    const Addr page = at.align_down(kPage);
    std::vector<std::byte> bytes(kPage);
    EXPECT_TRUE(heap_.image().read_bytes(page, bytes));
    rules.memory(page, bytes);
    return load<uint64_t>(bytes.data() + (at - page));
  }
  static uint64_t text(const char* eight) {
    uint64_t word = 0;
    std::memcpy(&word, eight, std::min<size_t>(std::strlen(eight), sizeof word));
    return word;
  }

  FakeHeap heap_;
  std::optional<HeapModel> model_;
  Addr block_, other_, freed_;
};

TEST_F(ReducedContent, KeepsAddresses) {
  heap_.process.poke(block_, other_);
  heap_.process.poke(block_ + 8, FakeProcess::kCode);
  heap_.process.poke(block_ + 16, other_ + 20);
  EXPECT_EQ(left(block_), other_.value);
  EXPECT_EQ(left(block_ + 8, Content::None), FakeProcess::kCode.value);
  EXPECT_EQ(left(block_ + 16), other_.value + 20);
}

TEST_F(ReducedContent, KeepsSmallNumbersUnlessNoneAreWanted) {
  heap_.process.poke(block_, 65535);
  heap_.process.poke(block_ + 8, ~uint64_t{0});
  heap_.process.poke(block_ + 16, 0x123456789abcdef0);
  heap_.process.poke(block_ + 24, uint64_t{8} << 20);
  EXPECT_EQ(left(block_), 65535U);
  EXPECT_EQ(left(block_ + 8), ~uint64_t{0});
  EXPECT_EQ(left(block_ + 16), 65535U) << "the mark of a block that was written";
  EXPECT_EQ(left(block_ + 24), uint64_t{8} << 20);
  EXPECT_EQ(left(block_ + 8, Content::None), 0U);
  EXPECT_EQ(left(block_ + 24, Content::None), 0U);
}

TEST_F(ReducedContent, ClearsTextToItsEnd) {
  heap_.process.poke(block_, 0x123456789abcdef0);  // has the block's mark
  heap_.process.poke(block_ + 8, text("password"));
  heap_.process.poke(block_ + 16, text("s"));
  heap_.process.poke(block_ + 24, text("secret"));
  EXPECT_EQ(left(block_ + 8), 0U);
  EXPECT_EQ(left(block_ + 16), 0U) << "the end of a text is no number";
  EXPECT_EQ(left(block_ + 24), 0U);
}

TEST_F(ReducedContent, StillTellsThatABlockWasWritten) {
  heap_.process.poke(block_, text("password"));
  heap_.process.poke(freed_ + 32, text("password"));
  EXPECT_EQ(left(block_), 65535U);
  EXPECT_EQ(left(freed_ + 32), 0U);
}

TEST_F(ReducedContent, KeepsAddressesInDisguise) {
  heap_.process.poke(block_, 0x123456789abcdef0);  // has the block's mark
  heap_.process.poke(block_ + 8, other_.value | uint64_t{0x1234} << 48);
  heap_.process.poke(block_ + 16, other_.value << 32);
  heap_.process.poke(block_ + 24, other_.value >> 32);
  EXPECT_EQ(left(block_ + 8), other_.value | uint64_t{0x1234} << 48);
  EXPECT_EQ(left(block_ + 16), other_.value << 32) << "it lies across two words";
  EXPECT_EQ(left(block_ + 24), other_.value >> 32);
}

TEST_F(ReducedContent, KeepsWhatMallocNeeds) {
  const uint64_t header = heap_.process.word(block_ - 8);
  heap_.process.poke(freed_ + 40, text("freed it"));
  EXPECT_EQ(left(block_ - 8, Content::None), header);
  EXPECT_EQ(left(freed_, Content::None), heap_.process.word(freed_));
  EXPECT_EQ(left(freed_ + 40), 0U);
}

TEST_F(ReducedContent, ClearsTextOutsideTheHeap) {
  heap_.process.poke(FakeProcess::kProgramData + 0x200, text("password"));
  EXPECT_EQ(left(FakeProcess::kProgramData + 0x200), 0U);
}

TEST_F(ReducedContent, TreatsRegistersAlike) {
  (void)left(block_);
  const RuntimeFacts runtime;
  const ContentRules rules = rules_of_content(heap_.image(), runtime, &*model_, Content::Pointers);
  EXPECT_EQ(rules.word(block_.value), block_.value);
  EXPECT_EQ(rules.word(text("password")), 0U);
  EXPECT_EQ(rules.word(17), 17U);
}

TEST_F(ReducedContent, HashesBlocksInUse) {
  heap_.process.poke(block_, text("password"));
  (void)left(block_);
  const auto hashes = hash_blocks(heap_.image(), *model_);
  const auto row = std::find_if(hashes.begin(), hashes.end(),
                                [&](const BlockHash& h) { return h.address == block_; });
  ASSERT_NE(row, hashes.end());
  const auto bytes = heap_.image().view(model_->block(model_->block_at(block_)).range());
  EXPECT_EQ(row->hash, sip_hash(key_of_this_boot(), *bytes));
  EXPECT_TRUE(std::none_of(hashes.begin(), hashes.end(),
                           [&](const BlockHash& h) { return h.address == freed_; }));
}

// The vectors of the authors' reference implementation: bytes 0, 1, 2, ... under the key 0 to 15.
TEST(SipHash, IsAsPublished) {
  const SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::vector<std::byte> bytes;
  EXPECT_EQ(sip_hash(key, bytes), 0x726fdb47dd0e0e31U);
  for (unsigned i = 0; i < 15; ++i) bytes.push_back(std::byte(i));
  EXPECT_EQ(sip_hash(key, bytes), 0xa129ca6149be45e5U);
}

}  // namespace
}  // namespace heapscan

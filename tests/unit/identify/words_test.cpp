#include "heapscan/identify/words.h"

#include <gtest/gtest.h>

#include <bit>
#include <span>
#include <string>

#include "support/fake_program.h"

namespace heapscan {
namespace {

class Words : public testing::Test {
 protected:
  Words() {
    used_ = program_.block(40);
    free_ = program_.block(40, BlockState::Binned);
    world_ = program_.build();
  }
  [[nodiscard]] WordKind kind(uint64_t word) const {
    return AddressMap(world_.image, world_.runtime, world_.heap).kind_of(word);
  }

  FakeProgram program_;
  Addr used_;
  Addr free_;
  FakeProgram::World world_;
};

TEST_F(Words, NumbersAreToldByTheirValue) {
  EXPECT_EQ(kind(0), WordKind::Zero);
  EXPECT_EQ(kind(1), WordKind::Small);
  EXPECT_EQ(kind(65535), WordKind::Small);
  EXPECT_EQ(kind(~uint64_t{0}), WordKind::Negative);
  EXPECT_EQ(kind(0xffffffff), WordKind::Negative);
  EXPECT_EQ(kind(uint64_t{7} << 32 | 3), WordKind::Pair);
  EXPECT_EQ(kind(uint64_t{7} << 32), WordKind::Pair);
  EXPECT_EQ(kind(std::bit_cast<uint64_t>(3.14159)), WordKind::Float);
  EXPECT_EQ(kind(1'700'000'000), WordKind::Time);
  EXPECT_EQ(kind(1'700'000'000'123), WordKind::Time);
  EXPECT_EQ(kind(0xf3a1c4d59be20677), WordKind::Random);
}

TEST_F(Words, FieldsInOneWordAreNoTime) {
  EXPECT_NE(kind(0x5000000000000), WordKind::Time) << "would be 2014 in microseconds";
  EXPECT_NE(kind(0x6000000000003), WordKind::Time);
  EXPECT_NE(kind(0x18d1234'00000007), WordKind::Time);
  EXPECT_NE(kind(0x17000000'abcd0000), WordKind::Time);
  EXPECT_EQ(kind(1'700'000'000'123'456), WordKind::Time);
  EXPECT_EQ(kind(1'700'000'000'123'456'789), WordKind::Time);
  EXPECT_EQ(kind(1'700'003'840), WordKind::Time) << "a second may be any number";
}

TEST_F(Words, TextNeedsFourCharactersAndAnEnd) {
  const auto word = [](const char(&text)[9]) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(text[i]);
    return value;
  };
  EXPECT_EQ(kind(word("GET /ind")), WordKind::Text);
  EXPECT_EQ(kind(word("GET \0\0\0\0")), WordKind::Text);
  EXPECT_EQ(kind(word("a\0b\0c\0d\0")), WordKind::WideText);
  EXPECT_NE(kind(word("GET\0\0\0\0\0")), WordKind::Text);
  EXPECT_NE(kind(word("GET \0x\0\0")), WordKind::Text);
}

TEST_F(Words, EachByteOfATextIsLookedAt) {
  const AddressMap addresses(world_.image, world_.runtime, world_.heap);
  const auto is_text = [&](std::string text) {
    text.resize(8);
    return addresses.kind_of(load<uint64_t>(std::as_bytes(std::span(text)).data())) ==
           WordKind::Text;
  };
  for (size_t length = 4; length <= 8; ++length) {
    for (size_t place = 0; place < length; ++place) {
      for (int byte = 1; byte < 256; ++byte) {
        std::string text(length, 'a');
        text[place] = static_cast<char>(byte);
        const bool is_character =
            (byte >= ' ' && byte <= '~') || byte == '\n' || byte == '\t' || byte == '\r';
        ASSERT_EQ(is_text(text), is_character) << byte << " at " << place << " of " << length;
      }
    }
  }
  EXPECT_FALSE(is_text(std::string("abcd\0f", 6)));
  EXPECT_TRUE(is_text("a\nb\r\tcd"));
  EXPECT_FALSE(is_text("a\nb\x01\tcd"));
}

TEST_F(Words, WideTextNeedsSixCharactersMostlyLetters) {
  const auto length = [](std::u32string_view text) {
    return wide_text_length(std::as_bytes(std::span(text)), 4);
  };
  EXPECT_EQ(length(U"three words more"), 16U);
  EXPECT_EQ(length(U"letter\u1234"), 6U);
  EXPECT_EQ(length(U"short"), 0U);
  EXPECT_EQ(length(U"0123456789"), 0U);
  EXPECT_EQ(wide_text_length(std::as_bytes(std::span(std::u16string_view(u"letter"))), 2), 6U);
}

TEST_F(Words, PointersAreToldByWhatTheyPointInto) {
  EXPECT_EQ(kind(used_.value), WordKind::BlockStart);
  EXPECT_EQ(kind(used_.value + 8), WordKind::BlockInterior);
  EXPECT_EQ(kind(used_.value + 40), WordKind::BlockInterior);
  EXPECT_EQ(kind(free_.value), WordKind::FreeBlock);
  EXPECT_EQ(kind(FakeProgram::kCode + 16), WordKind::Code);
  EXPECT_EQ(kind(FakeProgram::kStrong + 16), WordKind::Data);
  EXPECT_EQ(kind(FakeProgram::kWeak + 16), WordKind::Mapped);
  EXPECT_FALSE(is_pointer(kind(FakeProgram::kWeak - 8)));
}

TEST_F(Words, BlocksAreFoundFromAnywhereInThem) {
  const AddressMap addresses(world_.image, world_.runtime, world_.heap);
  const BlockId used = world_.heap.block_at(used_);
  EXPECT_EQ(addresses.block_meant_by(used_.value + 39), used);
  EXPECT_EQ(addresses.block_meant_by(used_.value + 40), used);
  EXPECT_FALSE(addresses.block_meant_by(FakeProgram::kStrong).valid());
}

}  // namespace
}  // namespace heapscan

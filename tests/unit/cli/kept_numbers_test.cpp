#include "cli/reduce_content.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string_view>
#include <vector>

namespace heapscan {
namespace {

constexpr uint64_t halves(uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; }

// The words of `text` that are kept, with zeros around it.
template <typename C>
std::vector<uint64_t> kept_of(std::basic_string_view<C> text) {
  std::vector<uint64_t> words(text.size() * sizeof(C) / 8 + 3);
  std::memcpy(words.data() + 1, text.data(), text.size() * sizeof(C));
  std::vector<uint64_t> kept;
  for (size_t i = 1; i + 1 < words.size(); ++i) {
    if (words[i] != 0 && is_kept_number({words[i - 1], words[i], words[i + 1]}))
      kept.push_back(words[i]);
  }
  return kept;
}

TEST(KeptNumbers, AreCountersAndIndices) {
  for (const uint64_t word : {uint64_t{1}, uint64_t{65535}, uint64_t{80000}, uint64_t{131072},
                              uint64_t{8} << 20, ~uint64_t{0}, ~uint64_t{0} - 5}) {
    EXPECT_TRUE(is_kept_number({0, word, 0})) << word;
  }
}

TEST(KeptNumbers, ArePairsOfThem) {
  EXPECT_TRUE(is_kept_number({0, halves(1, 1), 0}));
  EXPECT_TRUE(is_kept_number({0, halves(14464, 79999), 0}));
  EXPECT_TRUE(is_kept_number({0, halves(3, ~uint32_t{0}), 0}));
}

TEST(KeptNumbers, AreNoText) {
  using namespace std::literals;
  EXPECT_EQ(kept_of("password"sv), std::vector<uint64_t>());
  EXPECT_EQ(kept_of("passwords of mine"sv), std::vector<uint64_t>());
  EXPECT_EQ(kept_of("secret"sv), std::vector<uint64_t>());
  EXPECT_EQ(kept_of("key"sv), std::vector<uint64_t>());
  EXPECT_EQ(kept_of(u"password"sv), std::vector<uint64_t>());
  EXPECT_EQ(kept_of(u"keys"sv), std::vector<uint64_t>());
  EXPECT_EQ(kept_of(U"password"sv), std::vector<uint64_t>());
  EXPECT_EQ(kept_of(U"пароль"sv), std::vector<uint64_t>());
  EXPECT_EQ(kept_of(U"密码是很长的"sv), std::vector<uint64_t>());
}

TEST(KeptNumbers, AreNoRandomBits) {
  EXPECT_FALSE(is_kept_number({0, 0x123456789abcdef0, 0}));
  EXPECT_FALSE(is_kept_number({0, 0x3ff3333333333333, 0})) << "1.2";
}

}  // namespace
}  // namespace heapscan

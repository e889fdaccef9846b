// How the kernel's text files are taken apart. Whatever is no number is none, and no sum overflows.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "heapscan/base/text_lines.h"

namespace heapscan {

// The largest number of bytes that is believed: sums of a few dozen such cannot overflow.
inline constexpr uint64_t kMostBytes = uint64_t{1} << 56;

// Takes the next word that blanks part off the front; empty when there is none.
[[nodiscard]] inline std::string_view take_word(std::string_view& text) {
  const size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  const size_t end = std::min(text.find_first_of(" \t", begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

// A whole word that is a number.
[[nodiscard]] inline std::optional<uint64_t> whole_number(std::string_view word) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || word.empty()) return std::nullopt;
  return value;
}

[[nodiscard]] inline std::optional<uint64_t> take_number(std::string_view& text) {
  return whole_number(take_word(text));
}

// Nothing when it is more than is believed.
[[nodiscard]] inline std::optional<uint64_t> bytes_of(uint64_t count, uint64_t each) {
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(count, each, &bytes) || bytes > kMostBytes) return std::nullopt;
  return bytes;
}

// Sums of many lines stay below what is believed, too.
inline void add_bytes(uint64_t& sum, uint64_t more) { sum = std::min(kMostBytes, sum + more); }

}  // namespace heapscan

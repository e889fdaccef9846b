#include "cli/kept_numbers.h"

#include <cstddef>

#include "heapscan/base/addr.h"

namespace heapscan {

namespace {

constexpr uint64_t kSmallNumber = 65536;
constexpr uint64_t kLargestNumber = uint64_t{1} << 40;
constexpr uint32_t kLargestHalf = 0x20U << 16;  // below, no two characters of 16 bits
constexpr uint32_t kFirstCharacter = 0x20;
constexpr uint32_t kLastCodePoint = 0x1ffff;

uint8_t byte_of(uint64_t word, size_t i) { return static_cast<uint8_t>(word >> (8 * i)); }

bool is_printable_ascii(uint8_t c) { return c >= 0x20 && c < 0x7f; }

// Two characters of eight bits side by side.
bool has_two_characters(uint64_t word) {
  for (size_t i = 0; i + 1 < sizeof word; ++i) {
    if (is_printable_ascii(byte_of(word, i)) && is_printable_ascii(byte_of(word, i + 1)))
      return true;
  }
  return false;
}

bool is_code_point(uint32_t half) { return half >= kFirstCharacter && half <= kLastCodePoint; }

// Two characters of 32 bits.
bool may_be_wide_text(uint64_t word) {
  return is_code_point(static_cast<uint32_t>(word)) &&
         is_code_point(static_cast<uint32_t>(word >> 32));
}

// Whether a text may go on behind this word: it is filled with characters.
bool may_go_on(uint64_t word) {
  bool bytes = true;
  bool units = true;
  for (size_t i = 0; i < sizeof word; ++i) {
    const uint8_t c = byte_of(word, i);
    bytes = bytes && (is_printable_ascii(c) || c >= 0x80 || c == '\t' || c == '\n' || c == '\r');
    units = units && (i % 2 != 0 || static_cast<uint16_t>(word >> (8 * i)) >= kFirstCharacter);
  }
  return bytes || units || may_be_wide_text(word);
}

bool is_number_of_half(uint32_t half) {
  const bool near_zero = half < kLargestHalf || half > ~uint32_t{kSmallNumber};
  return near_zero && !has_two_characters(half);
}

}  // namespace

bool is_kept_number(const WordInPlace& place) {
  const uint64_t word = place.word;
  // Sizes of stacks and areas. The first byte is 0: no text begins like that.
  if (word % kPage == 0 && word < kLargestNumber) return true;
  if (word > ~kSmallNumber) return true;
  if (may_go_on(place.before)) return false;
  if (word < kSmallNumber) return true;
  if (may_be_wide_text(word) && may_be_wide_text(place.after)) return false;
  if (word < kLargestNumber && !has_two_characters(word)) return true;
  // Two numbers of 32 bits.
  return is_number_of_half(static_cast<uint32_t>(word)) &&
         is_number_of_half(static_cast<uint32_t>(word >> 32));
}

}  // namespace heapscan

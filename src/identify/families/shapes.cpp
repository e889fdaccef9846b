// A block is a record until its words say otherwise: fields of different kinds at fixed places are
// what programs allocate most. Text is told by its first bytes. Arrays and raw data must be long
// enough that a record would hardly look like it.
//
// A recycled block keeps what its last owner wrote behind the part the new one filled, so the end
// of a short string proves nothing; one that fills most of its block, or whose rest is zero, does.
#include "identify/families/shapes.h"
#include "identify/known_values.h"

#include <algorithm>
#include <cstring>

namespace heapscan {

namespace {

constexpr size_t kShortestTextShape = 4;  // three printable bytes are a number of that size, too
constexpr size_t kShortestTinyText = 2;   // where the whole block is too small for anything else
constexpr size_t kLongText = 24;          // text of this length counts however large the block is
constexpr size_t kEmptiedText = 15;       // printable bytes behind the first
constexpr uint64_t kTinyBlock = 24;       // the smallest a chunk can be: may be nearly all slack
constexpr uint64_t kSmallBlock = 40;      // given out also for what would fit into the smallest
constexpr uint64_t kSaysNothing = 128;    // bytes; smaller records may be zero by chance
constexpr uint32_t kCertainArray = 16;    // words
constexpr uint32_t kLongRow = 8;          // pointers at the begin of an array
constexpr uint32_t kShortRow = 6;         // likewise, when there is nothing else

// What short strings are mostly made of; small numbers are less often.
bool is_of_a_word(std::byte byte) {
  const auto c = static_cast<char>(byte);
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         c == '-' || c == '.';
}

// The length of the UTF-8 sequence of more than one byte at `at`; 0 when there is none.
size_t utf8_sequence(const unsigned char* at, size_t left) {
  const unsigned char lead = *at;
  const size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xf0 && lead < 0xf5 ? 4
                                                      : 0;
  if (length == 0 || length > left) return 0;
  const bool continues =
      std::all_of(at + 1, at + length, [](unsigned char byte) { return byte >> 6 == 2; });
  return continues ? length : 0;
}

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// A short string in a block of the smallest size, over what was there before. Numbers are written
// as a whole: where something is left behind the end within the first word, no number was written.
bool is_tiny_text(Bytes head, size_t length) {
  if (length == 0 || length >= head.size() || head[length] != std::byte{0}) return false;
  if (length >= kShortestTextShape) return true;
  if (!std::all_of(head.begin(), head.begin() + static_cast<ptrdiff_t>(length), is_of_a_word))
    return false;
  if (length >= kShortestTinyText) return true;
  return length < sizeof(uint64_t) && !all_zero(head.subspan(length, sizeof(uint64_t) - length));
}

// Records hardly begin with many pointers in a row; arrays may have anything behind what is filled.
bool is_array_of_pointers(std::span<const WordKind> kinds, const WordCounts& counts) {
  const auto is_element = [](WordKind kind) {
    return is_block_pointer(kind) || kind == WordKind::FreeBlock;
  };
  const auto row = static_cast<uint32_t>(std::find_if_not(kinds.begin(), kinds.end(), is_element) -
                                         kinds.begin());
  if (row >= kLongRow || (row >= kShortRow && row == counts.nonzero())) return true;
  const uint32_t pointers = counts[WordKind::BlockStart] + counts[WordKind::BlockInterior];
  if (pointers * 10 < counts.nonzero() * 9 || pointers < 2) return false;
  // Nor do they have pointers into blocks in many places.
  if (row >= 2 && counts[WordKind::BlockInterior] == counts.nonzero()) return true;
  return counts.words >= kCertainArray;
}

bool is_array_of_numbers(const WordCounts& counts) {
  const uint32_t numbers = counts[WordKind::Small] + counts[WordKind::Negative] +
                           counts[WordKind::Pair] + counts[WordKind::Float] +
                           counts[WordKind::Number];
  return numbers * 10 >= counts.nonzero() * 9;
}

bool is_wide_text(std::span<const WordKind> kinds, const WordCounts& counts) {
  const uint32_t wide = counts[WordKind::WideText];
  return kinds[0] == WordKind::WideText && wide >= 2 && wide * 4 >= counts.nonzero() * 3;
}

}  // namespace

const char* noun_of(Shape shape) {
  switch (shape) {
    case Shape::Record:
    case Shape::Untouched:  // zeros or what earlier owners left: the samples tell
      return "";
    case Shape::Text:
      return "text";
    case Shape::Pointers:
      return "array of pointers";
    case Shape::Numbers:
      return "array of numbers";
    case Shape::Raw:
      return "raw bytes";
  }
  return "";
}

const char* name_of(Shape shape) {
  switch (shape) {
    case Shape::Record:
      return "record";
    case Shape::Text:
      return "text";
    case Shape::Pointers:
      return "pointers";
    case Shape::Numbers:
      return "numbers";
    case Shape::Raw:
      return "bytes";
    case Shape::Untouched:
      return "untouched";
  }
  return "?";
}

uint32_t WordCounts::pointers() const {
  uint32_t sum = 0;
  for (size_t i = 0; i < kWordKinds; ++i) {
    if (is_pointer(static_cast<WordKind>(i))) sum += of[i];
  }
  return sum;
}

size_t text_length(Bytes bytes) {
  const auto* const begin = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t i = 0;
  while (i < bytes.size()) {
    while (i + 8 <= bytes.size() &&
           characters_in(load<uint64_t>(bytes.data() + i)) == kEightCharacters)
      i += 8;
    if (i == bytes.size()) break;
    if (is_printable(begin[i])) {
      ++i;
      continue;
    }
    const size_t sequence = begin[i] < 0x80 ? 0 : utf8_sequence(begin + i, bytes.size() - i);
    if (sequence == 0) break;
    i += sequence;
  }
  return i;
}

// The first byte is left out: of a string that was made empty it is gone.
uint64_t text_begin(Bytes head) {
  constexpr size_t kLength = 8;  // what fits into a word
  if (head.size() <= kLength) return 0;
  uint64_t begin = 0;
  for (const std::byte byte : head.subspan(1, kLength)) {
    if (byte == std::byte{0}) return 0;
    const bool is_digit = byte >= std::byte{'0'} && byte <= std::byte{'9'};
    begin = begin << 8 | static_cast<uint64_t>(is_digit ? std::byte{'0'} : byte);
  }
  return begin;
}

bool is_text_block(Bytes head, uint64_t size) {
  const size_t length = text_length(head);
  if (size <= (length < kShortestTextShape ? kTinyBlock : kSmallBlock) &&
      is_tiny_text(head, length))
    return true;
  // A string that was made empty: only its first byte is gone.
  if (length == 0 && head.size() > kEmptiedText && head[0] == std::byte{0} &&
      text_length(head.subspan(1, kEmptiedText)) == kEmptiedText)
    return true;
  if (length < kShortestTextShape) return false;
  if (length == head.size() || length >= kLongText) return true;
  if (head[length] != std::byte{0} || size <= kTinyBlock) return false;
  return 2 * (length + 1) + 16 >= size || all_zero(head.subspan(length));
}

bool is_utf32_block(Bytes head, uint64_t size) {
  const size_t bytes = 4 * wide_text_length(head, 4);
  if (bytes == 0) return false;
  if (bytes == head.size() / 4 * 4) return true;
  if (read_at<uint32_t>(head, bytes) != 0U) return false;
  return 2 * (bytes + 4) + 16 >= size || all_zero(head.subspan(bytes));
}

Shape shape_of(std::span<const WordKind> kinds, uint64_t size, const WordCounts& counts) {
  if (counts.nonzero() == 0) return size < kSaysNothing ? Shape::Record : Shape::Untouched;
  if (is_wide_text(kinds, counts)) return Shape::Text;
  if (is_array_of_pointers(kinds, counts)) return Shape::Pointers;
  const bool full = counts.nonzero() * 2 >= counts.words && counts.words >= kCertainArray;
  if (full && counts.pointers() * 20 < counts.words)
    return is_array_of_numbers(counts) ? Shape::Numbers : Shape::Raw;
  return Shape::Record;
}

}  // namespace heapscan

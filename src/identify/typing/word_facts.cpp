#include "identify/typing/word_facts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace heapscan {

namespace {

constexpr size_t kLookedAt = 16;   // bytes of what may be text
constexpr size_t kLongEnough = 3;  // shorter comes about by chance

bool is_textual(std::byte byte) {
  const auto c = static_cast<unsigned char>(byte);
  return (c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t' || c == '\r' || c == 0x1b;
}

TextThere text_at(const MemoryImage& image, Addr at) {
  std::array<std::byte, kLookedAt> bytes{};
  size_t there = kLookedAt;
  while (there != 0 && !image.read_bytes(at, std::span(bytes.data(), there))) there /= 2;
  size_t length = 0;
  size_t foreign = 0;  // not ASCII
  while (length < there && is_textual(bytes[length]))
    foreign += bytes[length++] >= std::byte{0x80} ? 1 : 0;
  if (foreign * 2 > length) return TextThere::None;
  const bool ends = length == there || bytes[length] == std::byte{0};
  if (there == 0 || !ends) return TextThere::None;
  if (length == 0) return TextThere::Empty;
  return length >= kLongEnough ? TextThere::Yes : TextThere::Short;
}

WordFact fact_of(const Inputs& inputs, uint64_t value) {
  WordFact fact;
  fact.value = value;
  fact.kind = inputs.addresses.kind_of(value);
  if (!is_pointer(fact.kind) || fact.kind == WordKind::Code) return fact;
  if (is_block_pointer(fact.kind)) {
    fact.block = inputs.addresses.block_meant_by(value);
    fact.family = inputs.families.of(fact.block);
    if (fact.kind == WordKind::BlockStart)
      fact.there = inputs.addresses.kind_of(inputs.image.read<uint64_t>(Addr(value)).value_or(0));
  }
  if (fact.kind != WordKind::FreeBlock) fact.text = text_at(inputs.image, Addr(value));
  return fact;
}

constexpr uint64_t kSentinel = 16;        // (struct session *)1, and -1: marks, not pointers
constexpr uint64_t kSmallNumber = 65536;  // counts and sizes are; hashes are not
constexpr uint64_t kTailWords = 8;        // of a struct's text that are looked at
constexpr uint64_t kSomeText = 4;         // letters
constexpr uint64_t kLongText = 16;        // letters that need no end
constexpr int kMostOfTailText = 20;       // it is right of every text that is large enough

bool is_negative_mark(uint64_t value, uint64_t size) {
  const uint64_t all_ones = size == 8 ? ~uint64_t{0} : (uint64_t{1} << size * 8) - 1;
  return value <= all_ones && all_ones - value < kSentinel;
}

// Integers that hold an address are too frequent to rule out, but not to rule them in.
Reading read_integer(const WordFact& word, uint64_t value, uint64_t size) {
  if (word.kind == WordKind::BlockStart || (size < 8 && is_sure_pointer(word.kind)))
    return kContradicts;
  if (word.kind == WordKind::Text && size == 8) return reading_of(Sign::NumberIsText);
  if (value == 0) return reading_of(Sign::ZeroNumber);
  return reading_of(value < kSmallNumber ? Sign::SmallNumber : Sign::LargeNumber);
}

// A member that was never set holds anything, and programs keep marks beside the values.
Reading read_enumeration(const Leaf& leaf, const WordFact& word, uint64_t value, uint64_t size) {
  const Reading reading = read_integer(word, value, size);
  if (reading.contradicts || value == 0) return reading;
  if (is_negative_mark(value, size)) return reading_of(Sign::MarkBesideValues);
  if (leaf.values != 0 && value >= leaf.values) return reading_of(Sign::NoValue);
  return reading_of(value < kSmallNumber ? Sign::SmallValue : Sign::LargeValue);
}

Reading read_float(const WordFact& word, uint64_t value, uint64_t size) {
  if (value == 0) return reading_of(Sign::ZeroNumber);
  if (is_sure_pointer(word.kind)) return kContradicts;
  if (size != 8 && size != 4) return kNothing;
  const double number =
      size == 8 ? std::bit_cast<double>(value)
                : static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(value)));
  if (std::isnan(number) || std::isinf(number)) return reading_of(Sign::NoFloat);
  const double magnitude = std::abs(number);
  if (magnitude == 0) return reading_of(Sign::ZeroNumber);
  if (magnitude < 1e-30) return kContradicts;  // a small integer
  const bool plausible = magnitude >= 1e-6 && magnitude <= 1e12;
  if (!plausible) return reading_of(Sign::ImplausibleFloat);
  return reading_of(size == 8 ? Sign::PlausibleDouble : Sign::PlausibleFloat);
}

bool is_zero(const Words& words, uint64_t begin, uint64_t end) {
  for (uint64_t i = begin; i < std::min(end, begin + 8 * kTailWords); ++i) {
    if (words.byte(i) != 0) return false;
  }
  return true;
}

bool holds_sure_pointers(const Words& words, uint64_t begin, uint64_t end) {
  for (uint64_t i = (begin + 7) / 8; i < std::min((begin / 8 + kTailWords), end / 8); ++i) {
    if (is_sure_pointer(words.facts[i].kind)) return true;
  }
  return false;
}

}  // namespace

uint64_t Words::integer(uint64_t offset, uint64_t width) const {
  const uint64_t shift = offset % 8 * 8;
  uint64_t value = facts[offset / 8].value >> shift;
  if (offset % 8 + width > 8) value |= facts[offset / 8 + 1].value << (64 - shift);
  return width >= 8 ? value : value & ((uint64_t{1} << (width * 8)) - 1);
}

Words read_words(const Inputs& inputs, AddrRange range, uint64_t limit) {
  Words words;
  words.begin = range.begin();
  words.size = range.size();
  const uint64_t length = std::min(std::min(range.size(), limit), Words::kMostBytes);
  std::vector<uint64_t> values((length + 7) / 8);
  const auto bytes = std::as_writable_bytes(std::span(values)).first(length);
  if (!range.begin().is_aligned(8) || !inputs.image.read_bytes(range.begin(), bytes)) return words;
  words.facts.reserve(values.size());
  for (const uint64_t value : values) words.facts.push_back(fact_of(inputs, value));
  return words;
}

Words read_words(const Inputs& inputs, BlockId block, uint64_t limit) {
  Words words = read_words(inputs, inputs.heap.block(block).range(), limit);
  words.requests = requests_for(inputs.heap.block(block));
  return words;
}

uint64_t own_rest_at(const Words& words, uint64_t offset) {
  const WordFact* const word = words.at(offset);
  if (word == nullptr || word->kind != WordKind::BlockInterior) return 0;
  const uint64_t into = word->value - words.begin.value;
  return into >= offset + 8 && into < words.requests.most ? into : 0;
}

Reading read_no_pointer(uint64_t value) {
  const bool is_mark = value <= kSentinel || value >= ~uint64_t{0} - kSentinel;
  return reading_of(is_mark ? Sign::Mark : Sign::Contradicts);
}

bool is_sure_pointer(WordKind kind) {
  return is_block_pointer(kind) || is_module_pointer(kind) || kind == WordKind::Stack;
}

Reading read_number(const Leaf& leaf, const Words& words, uint64_t offset) {
  const uint64_t size = std::min<uint64_t>(leaf.size, 8);
  const uint64_t value = words.integer(offset, size);
  const WordFact& word = words.facts[offset / 8];
  switch (leaf.kind) {
    case LeafKind::Boolean:
      if (value > 1) return kContradicts;
      return reading_of(value == 1 ? Sign::TrueValue : Sign::ZeroNumber);
    case LeafKind::Float:
      return read_float(word, value, leaf.size);
    case LeafKind::Enumeration:
      return read_enumeration(leaf, word, value, size);
    default:
      return read_integer(word, value, size);
  }
}

Reading read_text(const Leaf& leaf, const Words& words, uint64_t offset) {
  const uint64_t end = std::min(offset + leaf.size, words.bytes());
  uint64_t length = 0;
  while (offset + length < end) {
    const uint8_t c = words.byte(offset + length);
    if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f) break;
    ++length;
  }
  if (leaf.size == 1) return reading_of(length == 1 ? Sign::Character : Sign::NoCharacter);
  if (offset + length == end)
    return reading_of(end - offset >= kLongText ? Sign::LongFullText : Sign::FullText);
  const bool ends = words.byte(offset + length) == 0;
  if (ends && length == 0) return reading_of(Sign::EmptyText);
  if (ends) return reading_of(length >= kSomeText ? Sign::Text : Sign::ShortText);
  const WordFact* const first = words.at(offset);
  if (first != nullptr && is_sure_pointer(first->kind)) return kContradicts;
  return reading_of(Sign::BinaryText);
}

Reading read_tail_text(const Words& words, uint64_t offset, uint64_t end) {
  if (holds_sure_pointers(words, offset, end)) return reading_of(Sign::TailIsNoText);
  if (words.byte(offset) == 0 && !is_zero(words, offset, end))
    return reading_of(Sign::TailIsLateText);
  Leaf text;
  text.kind = LeafKind::Text;
  text.size = end - offset;
  Reading reading = read_text(text, words, offset);
  reading.weight = std::min(reading.weight, kMostOfTailText);
  return reading;
}

Reading read_text_pointer(const WordFact& word) {
  if (!is_pointer(word.kind)) return read_no_pointer(word.value);
  if (word.kind == WordKind::Code) return reading_of(Sign::DataPointerToCode);
  if (is_pointer(word.there)) return reading_of(Sign::LeadsElsewhere);
  if (word.text == TextThere::Yes) return reading_of(Sign::ToText);
  if (word.kind == WordKind::FreeBlock) return reading_of(Sign::ToFreedText);
  return reading_of(word.text == TextThere::None ? Sign::ToNoText : Sign::ToShortText);
}

bool counts_tail(const Layout& layout, const Words& words, uint64_t element) {
  constexpr uint64_t kFewestBytes = 24;  // three words: a small count is right by chance
  if (element == 0) return false;
  return std::any_of(layout.leaves.begin(), layout.leaves.end(), [&](const Leaf& leaf) {
    const bool is_number =
        leaf.kind == LeafKind::Integer || (leaf.kind == LeafKind::Text && leaf.size == 1);
    if (!is_number || leaf.size > 8 || leaf.offset + leaf.size > layout.tail ||
        leaf.offset + leaf.size > words.bytes())
      return false;
    const uint64_t count = words.integer(leaf.offset, leaf.size);
    if (count > words.size) return false;
    const auto explains = [&](uint64_t bytes) {
      return bytes >= kFewestBytes && words.requests.has(layout.tail + bytes);
    };
    return explains(count * element) || (element == 1 && explains(count + 1));
  });
}

}  // namespace heapscan

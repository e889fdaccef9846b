#include "identify/typing/words.h"

#include <algorithm>
#include <array>

namespace heapscan {

namespace {

constexpr size_t kLookedAt = 16;  // bytes of what may be text
constexpr size_t kLongEnough = 3;

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
    fact.cluster = inputs.clusters.of(fact.block);
    if (fact.kind == WordKind::BlockStart)
      fact.there = inputs.addresses.kind_of(inputs.image.read<uint64_t>(Addr(value)).value_or(0));
  }
  if (fact.kind != WordKind::FreeBlock) fact.text = text_at(inputs.image, Addr(value));
  return fact;
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

}  // namespace heapscan

// The words of a block or variable, each with what it points at: what types are held against.
#pragma once

#include <cstdint>
#include <vector>

#include "identify/inputs.h"
#include "identify/requests.h"

namespace heapscan {

// What lies where a word points.
enum class TextThere : uint8_t { None, Empty, Short, Yes };

struct WordFact {
  uint64_t value = 0;
  BlockId block;      // that it points at or into
  ClusterId cluster;  // of that block, when it was clustered
  WordKind kind = WordKind::Zero;
  WordKind there = WordKind::Zero;  // of the word a block begins with that is pointed at
  TextThere text = TextThere::None;
};

struct Words {
  Addr begin;
  uint64_t size = 0;  // of the block or variable; there may be fewer words than fill it
  Requests requests;  // of a block
  std::vector<WordFact> facts;

  static constexpr uint64_t kMostBytes = 4096;
  [[nodiscard]] uint64_t bytes() const { return facts.size() * 8; }
  [[nodiscard]] const WordFact* at(uint64_t offset) const {
    return offset % 8 == 0 && offset / 8 < facts.size() ? &facts[offset / 8] : nullptr;
  }
  // An unsigned integer `width` (1 to 8) bytes wide, which lies within bytes().
  [[nodiscard]] uint64_t integer(uint64_t offset, uint64_t width) const;
  [[nodiscard]] uint8_t byte(uint64_t offset) const {
    return static_cast<uint8_t>(facts[offset / 8].value >> (offset % 8 * 8));
  }
};

// Empty when the memory is not here; `begin` is a multiple of 8.
[[nodiscard]] Words read_words(const Inputs& inputs, AddrRange range, uint64_t limit);
[[nodiscard]] Words read_words(const Inputs& inputs, BlockId block, uint64_t limit);

// Where a word of the block points into the block itself, behind its own place: a struct and the
// text that its member leads to are often one request. 0 when it does not. At most kMostBeforeRest
// bytes lie between the struct and the text.
[[nodiscard]] uint64_t own_rest_at(const Words& words, uint64_t offset);
constexpr uint64_t kMostBeforeRest = 16;

}  // namespace heapscan

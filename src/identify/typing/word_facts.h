// The words of a block or variable, each with what it points at, and what the value of a member says
// by itself, without knowing what is believed of other blocks.
//
// How much each of them says is in identify/weights.h.
#pragma once

#include <cstdint>
#include <vector>

#include "identify/inputs.h"
#include "heapscan/identify/requests.h"
#include "identify/typing/layout.h"
#include "identify/weights.h"

namespace heapscan {

// What lies where a word points.
enum class TextThere : uint8_t { None, Empty, Short, Yes };

struct WordFact {
  uint64_t value = 0;
  BlockId block;    // that it points at or into
  FamilyId family;  // of that block; none when it is in no family
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

struct Reading {
  Sign sign = Sign::Nothing;  // what was found; of several things the one that decides
  int weight = 0;
  uint8_t support = 0;
  bool contradicts = false;
  // Not what the member is declared to be, although that may happen to what is lost.
  bool disagrees = false;
};
[[nodiscard]] constexpr Reading reading_of(Sign sign) {
  const Weight weight = weight_of(sign);
  const bool disagrees = sign == Sign::LeadsElsewhere || sign == Sign::ToNoCandidate ||
                         sign == Sign::NoValue || sign == Sign::TailIsNoText;
  return {sign, weight.tenths, weight.support, sign == Sign::Contradicts, disagrees};
}

constexpr Reading kNothing{};
constexpr Reading kContradicts = reading_of(Sign::Contradicts);

// Of what is no address where a pointer should be. (struct session *)1, or -1, is not wrong.
[[nodiscard]] Reading read_no_pointer(uint64_t value);
[[nodiscard]] bool is_sure_pointer(WordKind kind);

// Of integers, enumerations, truth values and floating-point numbers.
[[nodiscard]] Reading read_number(const Leaf& leaf, const Words& words, uint64_t offset);
[[nodiscard]] Reading read_text(const Leaf& leaf, const Words& words, uint64_t offset);
// Of characters that fill the rest of a struct's block, from `offset` to `end`.
[[nodiscard]] Reading read_tail_text(const Words& words, uint64_t offset, uint64_t end);
[[nodiscard]] Reading read_text_pointer(const WordFact& word);
// Whether a member is the number of elements of so many bytes that the tail has by the block's
// size. Texts have a byte more than their length says; few elements are few by chance.
[[nodiscard]] bool counts_tail(const Layout& layout, const Words& words, uint64_t element);

}  // namespace heapscan

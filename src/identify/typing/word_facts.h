// The words of a block or variable, each with what it points at, and what the value of a member says
// by itself, without knowing what is believed of other blocks.
//
// What only one type explains counts much, small numbers count little. Weights are tenths.
#pragma once

#include <cstdint>
#include <vector>

#include "identify/inputs.h"
#include "identify/requests.h"
#include "identify/typing/layout.h"

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
  bool contradicts = false;
  int weight = 0;
  uint8_t support = 0;   // how many things agree that do not come about by chance
  bool is_mark = false;  // of a pointer: a small number that may stand for something
};

constexpr Reading kNothing{};
constexpr Reading kMark{false, -10, 0, true};
constexpr Reading kContradicts{true, 0, 0};
// Memory that a lost block points at may have been freed and used for something else.
constexpr Reading kElsewhere{false, -20, 0};
// A pointer to a variable that is what it is declared to lead to: nothing is surer.
constexpr Reading kTypedVariable{false, 50, 2};
// A string whose room is that of the block it points at, whatever has been written there since.
constexpr Reading kFillsBlock{false, 60, 2};
// A pointer to what follows the struct in its own block.
constexpr Reading kNamesOwnRest{false, 40, 2};
// A member that is the number of elements behind it, as the block's size says.
constexpr Reading kCountsTail{false, 40, 2};

// (struct session *)1, or -1: no pointer, but not wrong either.
[[nodiscard]] bool is_mark(uint64_t value);
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

// What a member's value says by itself, without knowing what is believed of other blocks.
//
// What only one type explains counts much, small numbers count little. Weights are tenths.
#pragma once

#include <cstdint>

#include "identify/typing/layout.h"
#include "identify/typing/words.h"

namespace heapscan {

struct Reading {
  bool contradicts = false;
  int weight = 0;
  uint8_t evidence = 0;  // how many things agree that do not come about by chance
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

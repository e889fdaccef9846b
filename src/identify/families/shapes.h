// What kind of memory a block is, by the kinds of its words.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "heapscan/base/bytes.h"
#include "heapscan/identify/families.h"
#include "heapscan/identify/words.h"

namespace heapscan {

// How many words of each kind the first part of a block has.
struct WordCounts {
  std::array<uint32_t, kWordKinds> of{};
  uint32_t words = 0;

  [[nodiscard]] uint32_t operator[](WordKind kind) const { return of[static_cast<size_t>(kind)]; }
  [[nodiscard]] uint32_t nonzero() const { return words - (*this)[WordKind::Zero]; }
  [[nodiscard]] uint32_t pointers() const;
  void add(WordKind kind) {
    ++of[static_cast<size_t>(kind)];
    ++words;
  }
};

// Bytes of printable ASCII or UTF-8 at the begin of `bytes`, up to the first other one.
[[nodiscard]] size_t text_length(Bytes bytes);

// A number for how a long enough text begins, digits being alike; 0 for a short one.
[[nodiscard]] uint64_t text_begin(Bytes head);

// Whether a block of `size` bytes that begins with `head` is one string, as far as it is filled.
[[nodiscard]] bool is_text_block(Bytes head, uint64_t size);

// Likewise, of a string in UTF-32.
[[nodiscard]] bool is_utf32_block(Bytes head, uint64_t size);

// Of a block that is not one string of bytes: `kinds` are its first words, not none, and `counts`
// how many of each kind there are.
[[nodiscard]] Shape shape_of(std::span<const WordKind> kinds, uint64_t size,
                             const WordCounts& counts);

}  // namespace heapscan

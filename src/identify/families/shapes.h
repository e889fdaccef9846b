// What kind of memory a block is, by the kinds of its words.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"

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

// ---- short texts, and texts that begin alike ----------------------------------------------------

// Which groups are text though their blocks are short, and which texts of one family begin alike.

struct TextGroup {
  uint32_t family = 0;
  uint64_t begin = 0;  // as text_begin() says; 0: too short, or not known
  uint32_t blocks = 0;
};

// Gives the templates of a family whose texts are nearly all made from a few a family each; what is
// left keeps its own. Families are numbered below `families` before, and below the result
// afterwards.
[[nodiscard]] uint32_t split_templates(std::vector<TextGroup>& groups, uint32_t families);

// Whether a block that begins with `head` may hold a string of one to seven characters.
[[nodiscard]] bool may_be_short_text(Bytes head);

// By group: whether its blocks are short strings. Only groups of records of the smallest size are
// asked, each by up to 64 of its blocks.
[[nodiscard]] std::vector<uint8_t> find_short_texts(const MemoryImage& image, const HeapModel& heap,
                                                    std::span<const BlockId> blocks,
                                                    std::span<const uint32_t> group_of,
                                                    std::span<const Shape> shapes);

}  // namespace heapscan

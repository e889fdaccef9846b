// Which groups are text though their blocks are short, and which texts of one family begin alike.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/image/image.h"

namespace heapscan {

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

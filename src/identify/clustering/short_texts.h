// Strings too short to be told from numbers one by one: ",", "5", "ok". What gives a group of them
// away are words of several letters among them, and what was in the blocks before: numbers are
// written as a whole, but behind a string's NUL old bytes remain, within the same half word, and
// not always the same ones.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Whether a block that begins with `head` may hold a string of one to seven characters.
[[nodiscard]] bool may_be_short_text(Bytes head);

// By group: whether its blocks are short strings. Only groups of records of the smallest size are
// asked, each by up to 64 of its blocks.
[[nodiscard]] std::vector<uint8_t> find_short_texts(const MemoryImage& image, const HeapModel& heap,
                                                    std::span<const BlockId> blocks,
                                                    std::span<const uint32_t> group_of,
                                                    std::span<const Shape> shapes);

}  // namespace heapscan

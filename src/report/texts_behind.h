// Text that does not lie in the blocks of a group, but where their pointers lead.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "report/groups.h"

namespace heapscan {

// What the pointers at one place of at least half of `blocks` lead to: `+0x18 -> "GET /..."`.
// Longest texts first, at most kMostPointedTexts.
[[nodiscard]] std::vector<std::string> pointed_texts(const Analysis& analysis,
                                                     const AddressMap& addresses,
                                                     std::span<const AddrRange> blocks);
constexpr size_t kMostPointedTexts = 2;

// What hangs below lost heads, however deep: `below "sensors/room-1", "topic"`; what most of them
// have first. Empty when nothing of it is text.
[[nodiscard]] std::string texts_below(const Analysis& analysis, const AddressMap& addresses,
                                      const BlockGroup& from);
constexpr size_t kMostTextsBelow = 3;

}  // namespace heapscan

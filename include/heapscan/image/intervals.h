// Sets of addresses as sorted, disjoint ranges.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Sorts, drops empty ranges, joins what overlaps or touches.
[[nodiscard]] std::vector<AddrRange> joined(std::vector<AddrRange> ranges);
// What is in `from` (sorted, disjoint) but not in `taken` (sorted, disjoint).
[[nodiscard]] std::vector<AddrRange> subtract(const std::vector<AddrRange>& from,
                                              const std::vector<AddrRange>& taken);
// The pages that hold a byte of the range.
[[nodiscard]] AddrRange whole_pages(AddrRange range);
// Bytes in both.
[[nodiscard]] uint64_t common_bytes(const std::vector<AddrRange>& ranges, AddrRange range);

// Whether malloc or the program may have mapped this region by itself: private, anonymous, and no
// module's .bss.
[[nodiscard]] bool is_raw_memory(const Region& region);
// The pages of every module's segments, sorted and disjoint.
[[nodiscard]] std::vector<AddrRange> module_pages(const MemoryImage& image);

}  // namespace heapscan

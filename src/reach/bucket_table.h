// Rust's hash tables (hashbrown: HashMap, HashSet, and what others build on them): the buckets, then
// the control bytes, a byte for each bucket. The owner points to the first control byte, and to
// nothing else. A control byte is 0xff (empty), 0x80 (deleted) or seven bits of a hash; the bytes of
// the first group stand behind all others once more, so that a search may read on over the end.
// Source: hashbrown's documentation of RawTable.
#pragma once

#include <algorithm>
#include <cstdint>

#include "heapscan/base/bytes.h"

namespace heapscan {

constexpr uint64_t kControlGroup = 16;  // bytes that are compared at once on x86-64

// Whether the control bytes of a table with so many buckets, a power of two, begin at
// content[offset], where their block begins with content.
[[nodiscard]] inline bool are_control_bytes(Bytes content, uint64_t offset, uint64_t buckets) {
  constexpr uint64_t kMostAsked = 1024;
  constexpr auto kEmpty = std::byte{0xff};
  constexpr auto kDeleted = std::byte{0x80};
  const uint64_t size = buckets + kControlGroup;
  const bool has_room_for_buckets =
      offset >= buckets && (buckets < kControlGroup || offset % buckets == 0);
  if (!has_room_for_buckets || offset > content.size() || size > content.size() - offset)
    return false;
  const Bytes control = content.subspan(offset, size);
  const Bytes asked = control.first(std::min(buckets, kMostAsked));
  uint64_t full = 0;
  for (const std::byte byte : asked) {
    if (byte == kEmpty || byte == kDeleted) continue;
    if (byte > kDeleted) return false;
    ++full;
  }
  // A table that is not asked to its end may be fuller here than elsewhere.
  if (full == asked.size()) return false;
  const uint64_t repeated = std::min(buckets, kControlGroup);
  const Bytes between = control.subspan(buckets, kControlGroup - repeated);
  return std::all_of(between.begin(), between.end(), [&](std::byte b) { return b == kEmpty; }) &&
         std::equal(control.begin(), control.begin() + static_cast<ptrdiff_t>(repeated),
                    control.end() - static_cast<ptrdiff_t>(repeated));
}

}  // namespace heapscan

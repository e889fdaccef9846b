// How much was asked of malloc for a block, told from what it gave.
//
// glibc rounds request + 8 up to 16 and takes at least 32; it may leave 16 more when the rest is too
// small to be a chunk. A chunk with a mapping of its own is rounded up to pages. Facts: malloc.c.
#pragma once

#include <cstdint>

#include "heapscan/base/addr.h"
#include "heapscan/heap/block.h"

namespace heapscan {

// By how much a block's usable size may exceed a request of whole words.
inline constexpr uint64_t kRoundingSlack = 8;  // bytes; of most blocks
inline constexpr uint64_t kBlockSlack = 24;    // of any, also when a rest was not split off

// Those with a mapping of their own may have a page more than was asked for.
inline constexpr uint64_t kSmallestMapping = 128 << 10;

// Whether a block of `usable` bytes may have been made for `bytes` of whole words.
[[nodiscard]] constexpr bool fills(uint64_t bytes, uint64_t usable, uint64_t slack = kBlockSlack) {
  if (usable >= kSmallestMapping) slack += kPage;
  return bytes <= usable && usable - bytes <= slack;
}

// The most that was asked of malloc when it answered with that many usable bytes, and the least, of
// any number of bytes.
struct Requests {
  uint64_t least = 0;
  uint64_t most = 0;
  [[nodiscard]] bool has(uint64_t size) const { return size >= least && size <= most; }
};
[[nodiscard]] Requests requests_for(const Block& block);
// The same where only the size is known, and whether the chunk may have a mapping of its own.
[[nodiscard]] Requests requests_for(uint64_t usable, bool may_be_mapping);

}  // namespace heapscan

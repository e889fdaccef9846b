// Words that are no longer in use and were never cleared: what a ring's consumer has passed, what
// lies above the top of a stack, a vector's capacity past its end. Most lead to freed memory; what
// they still name is held by chance.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"

namespace heapscan {

// The block, mapping or root range that such words lie in.
struct StaleStore {
  BlockId block;       // none: memory of a root
  AddrRange range;     // from the first such word to the last
  uint64_t words = 0;  // pointers among them
  // Of those: lead to freed memory, or into blocks in a way nothing explains.
  uint64_t dangling = 0;

  [[nodiscard]] unsigned percent() const {
    return words == 0 ? 0 : static_cast<unsigned>(dangling * 100 / words);
  }
};

// Consecutive words of a store that begin and end with a dangling one.
struct StaleStretch {
  AddrRange range;
  uint32_t store = 0;
};

struct StaleStores {
  std::vector<StaleStore> stores;       // sorted by address
  std::vector<StaleStretch> stretches;  // sorted by address, disjoint

  // The stretch that the word at `at` belongs to; null when to none.
  [[nodiscard]] const StaleStretch* stretch_at(Addr at) const;
  // Those that overlap `range`.
  [[nodiscard]] std::span<const StaleStretch> within(AddrRange range) const;
};

// Calls f(part) for what is left of `range` without the stretches.
template <typename F>
void for_each_part_outside(const StaleStores& stale, AddrRange range, F&& f) {
  Addr at = range.begin();
  for (const StaleStretch& stretch : stale.within(range)) {
    if (at < stretch.range.begin()) f(AddrRange(at, stretch.range.begin()));
    at = stretch.range.end();
  }
  if (at < range.end()) f(AddrRange(at, range.end()));
}

}  // namespace heapscan

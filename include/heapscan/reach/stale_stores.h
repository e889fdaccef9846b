// Words that are not in use and were never cleared: what a ring's consumer has passed, what lies
// above the top of a stack, a vector's capacity past its end, what stands behind a string's NUL.
// Many lead to freed memory; what they still name is held by chance.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"

namespace heapscan {

// The block, mapping or root range that such words lie in.
struct StaleStore {
  enum class Kind : uint8_t {
    Dangling,    // an array most of whose pointers dangle
    BehindEnd,   // behind what the owner of an array says is in use
    BehindText,  // behind the NUL of a string whose owner knows its length
  };
  BlockId block;       // none: memory of a root
  AddrRange range;     // from the first such word to the last
  uint64_t words = 0;  // pointers among them
  // Of those: lead to freed memory, or into blocks in a way nothing explains.
  uint64_t dangling = 0;
  Kind kind = Kind::Dangling;

  [[nodiscard]] unsigned percent() const {
    return words == 0 ? 0 : static_cast<unsigned>(dangling * 100 / words);
  }
};

// Consecutive words of a store. Of a dangling one: they begin and end with a dangling word.
struct StaleStretch {
  AddrRange range;
  uint32_t store = 0;
};

struct StaleStores {
  std::vector<StaleStore> stores;       // the dangling ones first, each kind sorted by address
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

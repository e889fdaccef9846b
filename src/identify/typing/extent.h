// How a block holds values of a type: one, one with a tail, or an array.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "identify/typing/checker.h"

namespace heapscan {

struct Extent {
  TypeId type;           // of the value, or of the elements
  uint64_t base = 0;     // where the first one begins: behind the count that new[] writes, if any
  uint64_t count = 1;    // elements that fit into the block
  bool is_exact = true;  // malloc would not have given this block for one less
  bool is_array = false;
};

// What a block is that a pointer to `pointee` leads to, `into` bytes behind its begin; nothing when
// its size or its words contradict. A class is the one its vtable names.
[[nodiscard]] std::optional<Extent> extent_of(Checker& checker, TypeId pointee, const Block& block,
                                              uint64_t into, const Words& words);

// Calls f(leaf, fact) for each pointer that values of an extent hold in `words` and that is not
// null. At most kMostFollowed elements are looked at.
constexpr uint64_t kMostFollowed = 512;
template <typename F>
void for_each_pointer(Checker& checker, const Extent& extent, const Words& words, F&& f) {
  const Layout& layout = checker.layouts().of(extent.type);
  if (layout.size == 0 || !layout.holds_pointers()) return;
  for (uint64_t i = 0; i < std::min(extent.count, kMostFollowed); ++i) {
    const uint64_t base = extent.base + i * layout.size;
    if (base >= words.bytes()) return;
    const auto visit = [&](const Leaf& leaf) {
      const WordFact* const fact = words.at(base + leaf.offset);
      if (is_followed(leaf) && fact != nullptr && fact->value != 0) f(leaf, *fact);
    };
    for (const Leaf& leaf : layout.leaves) {
      if (leaf.kind != LeafKind::Union) {
        visit(leaf);
      } else if (const auto* arm = checker.arm_in_use(layout, leaf, words,
                                                      {extent.type, FamilyId::none(), base})) {
        for (const Leaf& part : *arm) visit(part);
      }
    }
  }
}

// "struct point", "struct point[12]", "array of struct point" when count is 0.
[[nodiscard]] std::string label_of(const Types& types, TypeId type, bool is_array, uint64_t count);

}  // namespace heapscan

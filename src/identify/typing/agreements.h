// Members that agree with another one: a number that says how much there is where a pointer leads
// (the length of a text, the number of an array's elements, the room of a buffer), and a tag that
// chooses the arm of a union.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "identify/typing/checker.h"
#include "identify/typing/layout.h"
#include "identify/typing/word_facts.h"

namespace heapscan {

// A place where a value may begin.
struct Specimen {
  const Words* words = nullptr;
  uint64_t base = 0;
};

struct Counted {
  const Leaf* pointer = nullptr;
  const Leaf* count = nullptr;
  size_t specimens = 0;  // in which the pointer leads to a block
};

// Each pointer of the layout that has such a member, which is right in nearly all specimens.
[[nodiscard]] std::vector<Counted> find_counted(const Inputs& inputs, const Layout& layout,
                                                std::span<const Specimen> specimens);

// The member whose value says which arm of `leaf` is in use: for each of its values one arm fits
// all specimens that have it, and there are values that no arm fits together. Null when there is
// none.
[[nodiscard]] const Leaf* chooser_of(Checker& checker, const Layout& layout, const Leaf& leaf,
                                     TypeId type, FamilyId family,
                                     std::span<const Specimen> specimens);

}  // namespace heapscan

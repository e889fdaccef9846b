// Unions one arm of which is chosen by another member.
#pragma once

#include <span>

#include "identify/typing/check.h"
#include "identify/typing/counted.h"

namespace heapscan {

// The member whose value says which arm of `leaf` is in use: for each of its values one arm fits
// all specimens that have it, and there are values that no arm fits together. Null when there is
// none.
[[nodiscard]] const Leaf* chooser_of(Checker& checker, const Layout& layout, const Leaf& leaf,
                                     TypeId type, ClusterId cluster,
                                     std::span<const Specimen> specimens);

}  // namespace heapscan

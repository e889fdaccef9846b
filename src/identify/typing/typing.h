// DWARF types for families: from typed variables and objects along typed members, and from the
// blocks themselves.
#pragma once

#include <vector>

#include "identify/inputs.h"

namespace heapscan {

// Families, the largest first, that are asked what they are; typed members may lead to more.
inline constexpr size_t kMostFamiliesTyped = 2000;

// Evidence of kinds Pointed, LooksLike and Fit, and the types that fit where none was settled on. Empty
// for families about which types say nothing, and for small families where there are very many.
[[nodiscard]] FamilyEvidence type_families(const Inputs& inputs);

}  // namespace heapscan

// DWARF types for clusters: from typed variables and objects along typed members, and from the
// blocks themselves.
#pragma once

#include <vector>

#include "identify/inputs.h"

namespace heapscan {

// Evidence of kinds Pointed, LooksLike and Fit. Empty for clusters about which types say nothing,
// and for small clusters where there are very many.
[[nodiscard]] Column<ClusterId, std::vector<Evidence>> type_clusters(const Inputs& inputs);

}  // namespace heapscan

// DWARF types for clusters: from typed variables and objects along typed members, and from the
// blocks themselves.
#pragma once

#include <vector>

#include "identify/inputs.h"

namespace heapscan {

// Clusters, the largest first, that are asked what they are; typed members may lead to more.
inline constexpr size_t kMostClustersTyped = 2000;

// Evidence of kinds Pointed, LooksLike and Fit. Empty for clusters about which types say nothing,
// and for small clusters where there are very many.
[[nodiscard]] Column<ClusterId, std::vector<Evidence>> type_clusters(const Inputs& inputs);

}  // namespace heapscan

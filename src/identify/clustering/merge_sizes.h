// Joins clusters of different sizes that are one kind of block all the same: structs with a tail of
// any length, and arrays so short that they looked like records.
#pragma once

#include <cstdint>
#include <vector>

#include "identify/clustering/cluster_evidence.h"

namespace heapscan {

// Cluster -> joined cluster, numbered without gaps in the order of the first of each.
[[nodiscard]] std::vector<uint32_t> join_sizes(const std::vector<ClusterOutline>& clusters);

}  // namespace heapscan

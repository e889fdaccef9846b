// Joins clusters of different sizes that are one kind of block all the same: structs with a tail of
// any length, and arrays so short that they looked like records.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "identify/clustering/cluster_evidence.h"

namespace heapscan {

// Two clusters that are one kind for another reason.
struct Joined {
  uint32_t cluster = 0;
  uint32_t with = 0;
};

// Cluster -> joined cluster, numbered without gaps in the order of the first of each.
[[nodiscard]] std::vector<uint32_t> join_sizes(const std::vector<ClusterOutline>& clusters,
                                               std::span<const Joined> joined);

}  // namespace heapscan

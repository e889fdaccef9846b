// Blocks that are larger than others of their kind because malloc did not split them: what would
// have been left was too little to be a chunk.
#pragma once

#include <cstdint>
#include <vector>

#include "identify/clustering/cluster_evidence.h"
#include "identify/clustering/merge_sizes.h"

namespace heapscan {

// The records of one size that are one cluster.
struct SizedCluster {
  uint32_t cluster = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;
  const ClusterEvidence* evidence = nullptr;
};

// Each cluster of such larger blocks with the one they belong to. The order of `clusters` decides
// between what agrees alike.
[[nodiscard]] std::vector<Joined> find_rests(const std::vector<SizedCluster>& clusters);

}  // namespace heapscan

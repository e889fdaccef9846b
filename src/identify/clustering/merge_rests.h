// Blocks that are larger than others of their kind because malloc did not split them: what would
// have been left was too little to be a chunk.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
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

// By how much such blocks are larger, in bytes.
constexpr uint64_t kRest = 16;

// Each cluster of such larger blocks with the one they belong to. The order of `clusters` decides
// between what agrees alike.
[[nodiscard]] std::vector<Joined> find_rests(std::span<const SizedCluster> clusters);

// Groups of such larger blocks within a cluster that is another kind, of which all blocks are so
// large.
class StrayRests {
 public:
  // `usual`: the clusters of the size that is kRest smaller.
  explicit StrayRests(std::vector<SizedCluster> usual);

  // `own_agreement`: with the cluster the group is in.
  void look_at(uint32_t group, const ClusterEvidence& evidence, uint64_t blocks,
               float own_agreement);
  // The groups that are strays, each with the cluster of `usual` that it belongs to.
  [[nodiscard]] std::vector<Joined> found() const;

 private:
  struct Strays {
    std::vector<uint32_t> groups;
    uint64_t blocks = 0;
    std::optional<ClusterEvidence> evidence;
  };
  std::vector<SizedCluster> usual_;
  std::vector<Strays> strays_;  // by place in usual_
};

}  // namespace heapscan

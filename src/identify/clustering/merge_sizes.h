// Clusters of blocks of different sizes that are one kind: one thing in many sizes, or one size but
// for 16 bytes that malloc did not split off.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "identify/clustering/cluster_traits.h"

namespace heapscan {

// Two clusters, or a group and a cluster, that are one kind.
struct Joined {
  uint32_t cluster = 0;
  uint32_t with = 0;
};

// The records of one size that are one cluster.
struct SizedCluster {
  uint32_t cluster = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;
  const ClusterTraits* traits = nullptr;
};

// Each cluster of blocks that are kLeftOver larger with the one they belong to. The order of
// `clusters` decides between what agrees alike.
[[nodiscard]] std::vector<Joined> find_rests(std::span<const SizedCluster> clusters);

// Groups of such larger blocks within a cluster that is another kind, of which all blocks are so
// large.
class StrayRests {
 public:
  // `usual`: the clusters of the size that is kLeftOver smaller.
  explicit StrayRests(std::vector<SizedCluster> usual);

  // `own_agreement`: with the cluster the group is in.
  void look_at(uint32_t group, const ClusterTraits& traits, uint64_t blocks, float own_agreement);
  // The groups that are strays, each with the cluster of `usual` that it belongs to.
  [[nodiscard]] std::vector<Joined> found() const;

 private:
  struct Strays {
    std::vector<uint32_t> groups;
    uint64_t blocks = 0;
    std::optional<ClusterTraits> traits;
  };
  std::vector<SizedCluster> usual_;
  std::vector<Strays> strays_;  // by place in usual_
};

// Cluster -> joined cluster, numbered without gaps in the order of the first of each.
[[nodiscard]] std::vector<uint32_t> join_sizes(const std::vector<ClusterOutline>& clusters,
                                               std::span<const Joined> joined);

}  // namespace heapscan

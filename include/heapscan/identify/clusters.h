// Which blocks are one thing: what reports, suppressions and diffs speak of.
//
// make_clusters() makes them, once, of the families whose evidence gives them one name, and of
// every other family by itself. A block is in exactly one cluster. Clusters are sorted by bytes,
// largest first; ties are settled by fingerprint, so the order is the same for every number of
// threads. A cluster has no verdict: one kind of block may be lost here and in use there.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"

namespace heapscan {

using ClusterId = Id<struct ClusterTag>;

struct Cluster {
  // Made of names and shapes, never of addresses: the same in another run, under ASLR, on another
  // host and after a rebuild that does not touch the type. No two clusters have the same.
  uint64_t fingerprint = 0;
  Shape shape = Shape::Record;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  Sizes sizes;
  std::vector<BlockId> samples;  // as a family's
  static constexpr size_t kSamples = Family::kSamples;
};

struct Clusters {
  std::vector<BlockId> blocks;        // all that were clustered, sorted
  std::vector<ClusterId> cluster_of;  // one per entry of blocks
  Column<ClusterId, Cluster> rows;

  // None for a block that was not clustered.
  [[nodiscard]] ClusterId of(BlockId block) const;
};

}  // namespace heapscan

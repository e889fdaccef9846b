// From groups of blocks to the rows of Clusters: totals, samples, fingerprints, order.
#pragma once

#include <span>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// `group_of` has one entry per block, `shapes` one per group. Groups with one fingerprint become
// one cluster.
[[nodiscard]] Clusters make_clusters(const MemoryImage& image, const Symbols& symbols,
                                     const RuntimeFacts& runtime, const HeapModel& heap,
                                     std::vector<BlockId> blocks,
                                     std::span<const uint32_t> group_of,
                                     std::span<const Shape> shapes);

// The clusters of two sets of blocks that have none in common, as one table.
[[nodiscard]] Clusters join_clusters(const HeapModel& heap, const Clusters& a, const Clusters& b);

// Fills in what follows from `cluster_of`: blocks, bytes, sizes and samples of all rows.
void fill_rows(const HeapModel& heap, Clusters& clusters);

}  // namespace heapscan

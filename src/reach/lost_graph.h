// Lost blocks by number, and who names whom among them, as rows of one array. Start and interior
// pointers weigh the same; no block has an edge to itself.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/id.h"

namespace heapscan {

struct LostGraph {
  std::vector<BlockId> blocks;       // number -> block, ascending
  std::vector<uint64_t> first_edge;  // number -> its first edge; one more at the end
  std::vector<uint32_t> edges;       // of each block ascending

  [[nodiscard]] size_t size() const { return blocks.size(); }
  [[nodiscard]] std::span<const uint32_t> from(uint32_t node) const {
    return std::span(edges).subspan(first_edge[node], first_edge[node + 1] - first_edge[node]);
  }
};

}  // namespace heapscan

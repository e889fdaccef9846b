// Which members of a kind of block lead to others of the kind: what makes it a list or a tree.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/analysis/analysis.h"

namespace heapscan {

struct RowLinks {
  std::vector<uint64_t> offsets;  // of the members, at most two; empty: neither list nor tree
  bool is_tree = false;
  bool leads_back = false;  // each block is led back to: the links are all there are of the list
};

// By what the samples of the cluster hold.
[[nodiscard]] RowLinks find_row_links(const Analysis& analysis, ClusterId cluster);

}  // namespace heapscan

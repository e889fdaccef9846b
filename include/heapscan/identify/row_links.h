// Which members of a kind of block lead to others of the kind: what makes it a list or a tree.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

struct RowLinks {
  std::vector<uint64_t> offsets;  // of the members, at most two; empty: neither list nor tree
  bool is_tree = false;
  bool leads_back = false;  // each block is led back to: the links are all there are of the list
};

// By what the samples of the cluster hold.
[[nodiscard]] RowLinks find_row_links(const MemoryImage& image, const HeapModel& heap,
                                      const Reachability& reach, const Clusters& clusters,
                                      ClusterId cluster);

// What the link at `offset` is called in the struct of a known library that has this label, for
// programs that say nothing of its type: "next". Empty: unknown.
[[nodiscard]] std::string_view name_of_library_link(std::string_view label, uint64_t offset);

}  // namespace heapscan

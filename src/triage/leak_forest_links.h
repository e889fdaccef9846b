// Where in its component's tree every lost block hangs.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

// Lost blocks are counted as in Reachability::lost. Every block but heads has a parent in the same
// component.
struct LostLinks {
  static constexpr uint32_t kNone = ~uint32_t{0};
  std::vector<uint32_t> order;   // numbers, component after component, parents before children
  std::vector<uint32_t> parent;  // by number; of a head none
  std::vector<uint32_t> offset;  // by number: of the pointer in the parent; cut to 32 bits
};

[[nodiscard]] LostLinks link_lost_blocks(const MemoryImage& image, const HeapModel& heap,
                                         const Reachability& reach);

}  // namespace heapscan

// What of the program's words the kernel may hold where nobody can see them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

// Words that the kernel may hold.
struct UnseenReferences {
  std::string holder;  // for people
  uint64_t most = 0;   // how many of one kind
};

// What the image says of it; and where the image cannot know what the kernel holds, which of its
// services the program evidently uses that keep words for it. Empty when there is no sign of any.
[[nodiscard]] std::vector<UnseenReferences> find_unseen_references(const MemoryImage& image);

// Heads among `lost` of which there are no more alike than the kernel is taken to hold. Many that
// are alike are a leak: each would need a descriptor or a timer of its own. Ascending; adds a note
// when there are any.
[[nodiscard]] std::vector<BlockId> heads_the_kernel_may_hold(const MemoryImage& image,
                                                             const HeapModel& heap,
                                                             std::span<const LostBlock> lost,
                                                             Notes& notes);

}  // namespace heapscan

// Headers in front of what a program points at, learnt from the process itself: an allocation
// wrapper (talloc, MariaDB's my_malloc, an object system) asks malloc for more than it hands out,
// and what it hands out begins behind its own fields, in blocks of any size.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "reach/interior_rules.h"

namespace heapscan {

// `interior`: every interior pointer at a block not firmly reached, sorted, each once. `links`:
// sizes whose blocks are all held at one offset. Sorted.
[[nodiscard]] std::vector<LearntHeader> find_headers(const MemoryImage& image,
                                                     const HeapModel& heap,
                                                     std::span<const uint64_t> interior,
                                                     std::span<const LinkClass> links);

}  // namespace heapscan

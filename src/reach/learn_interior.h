// What a program means by pointers into the middle of its blocks, learnt from the process itself:
// intrusive links, headers of allocation wrappers (talloc, MariaDB's my_malloc, an object system:
// what they hand out begins behind their own fields), and blocks that the program parcels out.
//
// `interior` is sorted, each pointer once. For links and headers: every interior pointer at a block
// not firmly reached; for pools: those found in reachable memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "reach/interior_rules.h"

namespace heapscan {

// f(block, pointers into it) for each block that the sorted `interior` pointers lead to.
template <typename F>
void for_each_named_block(const HeapModel& heap, std::span<const uint64_t> interior, F&& f) {
  size_t i = 0;
  while (i < interior.size()) {
    const BlockId id = heap.block_at(Addr(interior[i]));
    if (!id.valid()) {
      ++i;
      continue;
    }
    const Block& block = heap.block(id);
    const size_t first = i;
    while (i < interior.size() && block.range().contains(Addr(interior[i]))) ++i;
    f(block, interior.subspan(first, i - first));
  }
}

// Many blocks of one size, all held at the same offset. `held`: the blocks not firmly reached.
// Sorted.
[[nodiscard]] std::vector<LinkClass> find_consistent_links(const HeapModel& heap,
                                                           std::span<const uint64_t> interior,
                                                           const BlockBitmap& held);

// The wrapper asks malloc for more than it hands out, in blocks of any size. `links`: sizes whose
// blocks are all held at one offset. Sorted.
[[nodiscard]] std::vector<LearntHeader> find_headers(const MemoryImage& image,
                                                     const HeapModel& heap,
                                                     std::span<const uint64_t> interior,
                                                     std::span<const LinkClass> links);

// The begins of blocks which `interior` names at several places, or at one when their own parts name each other; ascending.
[[nodiscard]] std::vector<uint64_t> find_pools(const MemoryImage& image, const HeapModel& heap,
                                               std::span<const uint64_t> interior);

// The begins of blocks that themselves hold, twice or more, one of the addresses by which
// `interior` names them: objects that know where they begin, behind something else. Ascending.
[[nodiscard]] std::vector<uint64_t> find_self_named(const MemoryImage& image, const HeapModel& heap,
                                                    std::span<const uint64_t> interior);

}  // namespace heapscan

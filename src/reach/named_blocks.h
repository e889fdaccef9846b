// Interior pointers by the blocks they lead to.
#pragma once

#include <cstdint>
#include <span>

#include "heapscan/heap/heap_model.h"

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

}  // namespace heapscan

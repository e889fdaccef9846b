// Which block in use begins at an address?
#pragma once

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"

namespace heapscan {

// None where none begins, or it is not in use.
[[nodiscard]] inline BlockId used_block_at(const HeapModel& heap, Addr begin) {
  const BlockId id = heap.block_at(begin);
  if (!id.valid()) return id;
  const Block& block = heap.block(id);
  return block.begin() == begin && block.state() == BlockState::Used ? id : BlockId::none();
}

}  // namespace heapscan

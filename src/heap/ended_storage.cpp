#include "heap/ended_storage.h"

namespace heapscan {

namespace {

// The block that begins at `begin`; none when there is none or it is not in use.
BlockId used_block_at(const HeapModel& heap, Addr begin) {
  const BlockId id = heap.block_at(begin);
  if (!id.valid()) return id;
  const Block& block = heap.block(id);
  return block.begin() == begin && block.state() == BlockState::Used ? id : BlockId::none();
}

}  // namespace

void mark_ended_storage(const RuntimeFacts& runtime, HeapModel& heap) {
  for (const EndedStorage& storage : runtime.ended_storage) {
    const BlockId vector = used_block_at(heap, storage.vector);
    if (!vector.valid() || heap.block(vector).size() < storage.vector_bytes) continue;
    for (const Addr at : storage.blocks) {
      const BlockId block = used_block_at(heap, at);
      if (block.valid()) heap.blocks[block.index()].set_state(BlockState::Bookkeeping);
    }
    heap.blocks[vector.index()].set_state(BlockState::Bookkeeping);
  }
}

}  // namespace heapscan

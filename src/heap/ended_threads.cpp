#include "heap/ended_threads.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr uint64_t kDtv = 8;         // in the thread control block: points at the entry of module 0
constexpr uint64_t kDtvHeader = 16;  // before it: the number of entries
constexpr uint64_t kDtvEntry = 16;   // where the storage lies, and where its block begins
constexpr uint64_t kNoBlock = 4096;  // below lie flags and the mark of what was never used

// The block that begins at `begin`; none when there is none or it is not in use.
BlockId used_block_at(const HeapModel& heap, Addr begin) {
  const BlockId id = heap.block_at(begin);
  if (!id.valid()) return id;
  const Block& block = heap.block(id);
  return block.begin() == begin && block.state() == BlockState::Used ? id : BlockId::none();
}

void mark_storage(const MemoryImage& image, Addr descriptor, HeapModel& heap) {
  const auto dtv = image.read_addr(descriptor + kDtv);
  const BlockId vector = dtv ? used_block_at(heap, *dtv - kDtvHeader) : BlockId::none();
  if (!vector.valid()) return;
  Block& row = heap.blocks[vector.index()];
  const uint64_t room = row.size() / kDtvEntry;
  const uint64_t entries = image.read<uint64_t>(row.begin()).value_or(0);
  if (room < 2 || entries > room - 2) return;
  for (uint64_t i = 1; i <= entries; ++i) {
    const Addr entry = *dtv + i * kDtvEntry;
    const uint64_t storage = image.read<uint64_t>(entry).value_or(0);
    const uint64_t start = image.read<uint64_t>(entry + 8).value_or(0);
    // Before 2.25 the second word was a flag, and the block began where the storage does.
    const BlockId block = used_block_at(heap, Addr(start >= kNoBlock ? start : storage));
    if (block.valid()) heap.blocks[block.index()].set_state(BlockState::Bookkeeping);
  }
  row.set_state(BlockState::Bookkeeping);
}

}  // namespace

void mark_storage_of_ended_threads(const MemoryImage& image, HeapModel& heap) {
  for (const ThreadArea& area : heap.threads.areas) {
    if (area.fate == ThreadArea::Fate::Live || area.descriptor.is_null()) continue;
    mark_storage(image, area.descriptor, heap);
  }
}

}  // namespace heapscan

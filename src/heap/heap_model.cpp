#include "heapscan/heap/heap_model.h"

#include "heap/allocator.h"
#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/free_memory.h"
#include "heapscan/heap/used_block.h"
#include "heapscan/image/intervals.h"

namespace heapscan {

const char* name_of(BlockState state) {
  switch (state) {
    case BlockState::Used:
      return "used";
    case BlockState::Tcache:
      return "tcache";
    case BlockState::Fastbin:
      return "fastbin";
    case BlockState::Binned:
      return "binned";
    case BlockState::Top:
      return "top";
    case BlockState::Bookkeeping:
      return "bookkeeping";
    case BlockState::Mapping:
      return "mapping";
  }
  return "unknown";
}

const char* name_of(LayoutSource source) {
  switch (source) {
    case LayoutSource::Dwarf:
      return "dwarf";
    case LayoutSource::Table:
      return "table";
    case LayoutSource::Probed:
      return "probed";
  }
  return "unknown";
}

BlockId HeapModel::block_at(Addr address) const {
  const uint32_t r = index.range_at(address.value);
  if (r == BlockIndex::kNoRange) return BlockId::none();
  const BlockId id = index.block_before(index.ranges()[r], address.value);
  if (!id.valid()) return BlockId::none();
  return block(id).range().contains(address) ? id : BlockId::none();
}

BlockMemory::BlockMemory(const MemoryImage& image, const HeapModel& heap)
    : image_(image), heap_(heap) {
  bases_.reserve(heap.index.ranges().size());
  for (const BlockIndex::Range& range : heap.index.ranges()) {
    const auto bytes = image.view({Addr(range.begin), Addr(range.end)});
    bases_.push_back({bytes ? bytes->data() : nullptr, range.begin});
  }
}

HeapTotals add_up(const MemoryImage& image, std::span<const Block> blocks,
                  const std::vector<Arena>& arenas) {
  constexpr size_t kPiece = size_t{1} << 18;
  const Residency* const residency = image.residency() ? &*image.residency() : nullptr;
  std::vector<HeapTotals> pieces(blocks.size() / kPiece + 1);
  parallel_for_pieces(blocks.size(), kPiece, [&](size_t begin, size_t end) {
    HeapTotals& totals = pieces[begin / kPiece];
    uint64_t trimmable = 0;
    for (size_t b = begin; b < end; ++b) {
      const Block& block = blocks[b];
      const auto add = [&](StateTotal& total) {
        ++total.blocks;
        total.bytes += block.size();
      };
      switch (block.state()) {
        case BlockState::Used:
          add(totals.used);
          break;
        case BlockState::Tcache:
        case BlockState::Fastbin:
        case BlockState::Binned:
          add(totals.free);
          break;
        case BlockState::Top:
          totals.top_bytes += block.size();
          break;
        case BlockState::Bookkeeping:
          break;
        case BlockState::Mapping:
          add(totals.mappings);
          break;
      }
      if (residency == nullptr) continue;
      const AddrRange pages = trimmable_pages(block, arenas);
      if (!pages.empty()) trimmable += common_bytes(residency->resident, pages);
    }
    if (residency != nullptr) totals.trimmable_bytes = trimmable;
  });
  HeapTotals sum;
  if (residency != nullptr) sum.trimmable_bytes = 0;
  const auto join = [](StateTotal& into, const StateTotal& from) {
    into.blocks += from.blocks;
    into.bytes += from.bytes;
  };
  for (const HeapTotals& piece : pieces) {
    join(sum.used, piece.used);
    join(sum.free, piece.free);
    join(sum.mappings, piece.mappings);
    sum.top_bytes += piece.top_bytes;
    if (sum.trimmable_bytes) *sum.trimmable_bytes += piece.trimmable_bytes.value_or(0);
  }
  return sum;
}

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

#include "heapscan/heap/heap_model.h"

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

}  // namespace heapscan

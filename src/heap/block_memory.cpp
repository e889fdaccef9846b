#include "heapscan/heap/block_memory.h"

namespace heapscan {

BlockMemory::BlockMemory(const MemoryImage& image, const BlockIndex& index) : image_(image) {
  bases_.reserve(index.ranges().size());
  for (const BlockIndex::Range& range : index.ranges()) {
    const auto bytes = image.view({Addr(range.begin), Addr(range.end)});
    bases_.push_back({bytes ? bytes->data() : nullptr, range.begin});
  }
}

}  // namespace heapscan

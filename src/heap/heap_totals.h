// The sums of a block table.
#pragma once

#include <span>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"

namespace heapscan {

[[nodiscard]] HeapTotals add_up(const MemoryImage& image, std::span<const Block> blocks);

}  // namespace heapscan

// The sums of a block table.
#pragma once

#include <span>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"

namespace heapscan {

[[nodiscard]] HeapTotals add_up(const MemoryImage& image, std::span<const Block> blocks,
                                const std::vector<Arena>& arenas);

}  // namespace heapscan

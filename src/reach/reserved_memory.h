// What belongs together because it was reserved together.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Reservations among `unreached` that continue a mapping which is not: a program that made usable
// the beginning of what it reserved has the address of that only. Ascending.
[[nodiscard]] std::vector<uint64_t> reservations_begun(const MemoryImage& image,
                                                       const HeapModel& heap,
                                                       const BlockBitmap& unreached);

// Mappings among `unheld` that touch a reservation which is not: its first or its last part, or
// somebody else's.
[[nodiscard]] std::vector<BlockId> beside_reservations(const MemoryImage& image,
                                                       const HeapModel& heap,
                                                       const BlockBitmap& unheld);

}  // namespace heapscan

// Who points at a block, and where: of strings and of blocks too small to say anything themselves
// that is the best evidence.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"

namespace heapscan {

// One entry per block of `blocks`: a name for the group of the blocks that point at it and the
// offset at which they do (of records; where in an array a pointer lies says nothing); 0 when none
// of `blocks` does. Of several such, a fixed one; a group's pointers to itself count only when
// there is nothing else.
[[nodiscard]] constexpr bool is_record_field(uint64_t owner) { return (owner & 1) != 0; }
[[nodiscard]] std::vector<uint32_t> find_owners(const HeapModel& heap, const BlockMemory& memory,
                                                std::span<const BlockId> blocks,
                                                const BlockNumbers& numbers,
                                                std::span<const uint32_t> group_of,
                                                std::span<const Shape> shapes);

}  // namespace heapscan

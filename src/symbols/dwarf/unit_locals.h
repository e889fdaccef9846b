// The variables of functions that were running, where they lay in memory.
#pragma once

#include <span>

#include "symbols/dwarf/lists.h"
#include "symbols/dwarf/unit_types.h"
#include "symbols/dwarf/unwind.h"

namespace heapscan {

// Whether code of the unit was running in any of `frames`: then read_unit_locals() is worth while.
[[nodiscard]] bool runs_in(const UnitReader& reader, std::span<const Frame> frames,
                           uint64_t& entries_left);

// Adds the variables of `frames` that the unit describes to `out`, which holds the unit's types.
// Variables in registers, and those that the compiler lost, are left out. `image` is that of the
// frames; `entries_left` bounds what is read of lists.
void read_unit_locals(const UnitReader& reader, const MemoryImage& image,
                      std::span<const Frame> frames, uint64_t& entries_left, UnitTypes& out);

}  // namespace heapscan

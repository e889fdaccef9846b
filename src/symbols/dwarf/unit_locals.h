// The variables of functions that were running, where they lay in memory.
#pragma once

#include <span>
#include <vector>

#include "symbols/dwarf/unit_types.h"
#include "symbols/dwarf/unwind.h"

namespace heapscan {

struct RawLocal {
  size_t unit = 0;           // its number in the file
  uint64_t function_at = 0;  // the DIE that defines the function
  RawVariable variable;      // whose scope is to be looked up yet
};

// The variables of `frames` that `file` describes, sorted by unit. Variables in registers, and those
// that the compiler lost, are left out. `image` is that of the frames.
[[nodiscard]] std::vector<RawLocal> read_locals(const DwarfFile& file, const MemoryImage& image,
                                                std::span<const Frame> frames);

}  // namespace heapscan

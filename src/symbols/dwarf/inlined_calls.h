// Functions that compilers copied into others (DW_TAG_inlined_subroutine).
#pragma once

#include <span>
#include <vector>

#include "heapscan/symbols/debug_info.h"
#include "symbols/dwarf/file.h"

namespace heapscan {

// One list per address, which are sorted: the copies that the address is in, innermost first.
[[nodiscard]] std::vector<std::vector<InlinedCall>> find_inlined_calls(
    const DwarfFile& file, std::span<const FileAddr> addresses);

}  // namespace heapscan

// Where the allocator's own instructions lie: a thread that is between two of them may be at work
// on a block that is neither free nor handed out.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// The code of malloc, free and what they call, in `module`; sorted, disjoint. Empty when no symbol
// tells.
[[nodiscard]] std::vector<AddrRange> find_allocator_code(const MemoryImage& image,
                                                         const Symbols& symbols, ModuleId module);

}  // namespace heapscan

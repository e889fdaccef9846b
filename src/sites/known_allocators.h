// Library functions that hand out memory, by the names that glibc, libstdc++ and libc++ export them
// under (man 3 malloc, strdup, getline, …; Itanium C++ ABI for operator new).
#pragma once

#include <vector>

#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// Those that some module of the image defines, each with its address; of a name that several define,
// each.
[[nodiscard]] std::vector<AllocatorFunction> find_known_allocators(const MemoryImage& image,
                                                                   const Symbols& symbols);

}  // namespace heapscan

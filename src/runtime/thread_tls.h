// How far static thread-local storage reaches below a thread pointer (variant II: x86-64).
#pragma once

#include <cstdint>
#include <span>

#include "heapscan/image/image.h"
#include "heapscan/runtime/loader_link_maps.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// The same for every thread. From the link maps' l_tls_offset where the loader says where that is;
// at least what the modules' PT_TLS segments need, one after the other.
[[nodiscard]] uint64_t static_tls_size(const MemoryImage& image, const Symbols& symbols,
                                       std::span<const LinkMap> maps);

}  // namespace heapscan

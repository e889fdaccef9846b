// Pages of GLib's slice allocator: blocks of malloc that GLib parcels out in pieces of which malloc
// knows nothing, so a piece that the program has lost is not seen.
//
// Found by their own words, in programs that define GLib's functions. Source: GLib glib/gslice.c,
// 2.10 to 2.74; since 2.76 g_slice_alloc() is malloc.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

inline constexpr const char* kSlicePage =
    "page of GLib's slices";  // what a group of them is called

// `block`: its usable bytes.
[[nodiscard]] bool is_slice_page(const MemoryImage& image, AddrRange block);

// All blocks in use that are such pages, by address.
[[nodiscard]] std::vector<BlockId> find_slice_pages(const MemoryImage& image,
                                                    const Symbols& symbols, const HeapModel& heap);

}  // namespace heapscan

// Allocators that a library was handed as a member of some struct, as lua's `frealloc` is: which
// functions call through such a member.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "sites/module_code.h"

namespace heapscan {

// How far into what is pointed at a pointer to an allocator lies: offset, index of the allocator.
using HandedAllocators = std::map<int64_t, uint32_t>;

// Of wrappers that take something before the size: those that others call with their own context.
[[nodiscard]] HandedAllocators find_handed_allocators(
    const MemoryImage& image, const std::vector<AllocatorFunction>& allocators);

// Functions that call through a pointer at one of the offsets from a register.
[[nodiscard]] std::vector<AddrRange> functions_that_call_through(const ModuleCode& code,
                                                                 const HandedAllocators& handed);

}  // namespace heapscan

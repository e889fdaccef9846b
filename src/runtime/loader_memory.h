// Memory the dynamic loader took for itself before malloc existed.
#pragma once

#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/loader_link_maps.h"
#include "heapscan/runtime/module_roles.h"
#include "heapscan/runtime/thread_areas.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// Page multiples, sorted, disjoint. Stacks of `threads` are never the loader's.
[[nodiscard]] std::vector<AddrRange> find_loader_memory(const MemoryImage& image,
                                                        const Symbols& symbols,
                                                        const ModuleRoles& roles,
                                                        std::span<const LinkMap> maps,
                                                        std::span<const ThreadArea> threads);

}  // namespace heapscan

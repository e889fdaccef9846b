// From what a core saved to the regions of the image.
#pragma once

#include "acquire/core_file.h"
#include "acquire/core_modules.h"
#include "acquire/module_map.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Adds every region, what is missing, and the notes about it. `data` are the stretches of the core
// file that are not holes, sorted; empty when there are no holes or they are not known.
void add_core_regions(const CoreFile& core, const ModuleMap& modules, CoreModules& files,
                      std::span<const AddrRange> data, ImageBuilder& builder);

}  // namespace heapscan

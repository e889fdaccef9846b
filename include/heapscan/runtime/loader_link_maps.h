// The dynamic loader's list of loaded objects, as it is in the target's memory.
//
// Source: glibc elf/link.h (struct r_debug, the public part of struct link_map).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

struct LinkMap {
  Addr at;  // struct link_map
  uint64_t bias = 0;
  Addr dynamic;     // the object's dynamic section
  ModuleId module;  // none: the vdso, or an object the image does not know
};

// In the order in which symbols are looked up: the program, what was preloaded, what it needs;
// later dlopen()s last; objects of further namespaces (dlmopen) after all of those. Empty for a
// static program or when the list is damaged from its start.
[[nodiscard]] std::vector<LinkMap> read_link_maps(const MemoryImage& image, const Symbols& symbols);

}  // namespace heapscan

// Memory the dynamic loader took for itself before malloc existed.
#pragma once

#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/loader_link_maps.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// The first thread's storage in it: it holds words of the program's own, which say nothing about
// the loader.
struct FirstThreadStorage {
  AddrRange tls_and_descriptor;
  Addr dtv;
};

// Page multiples, sorted, disjoint. `taken`: stacks, sorted, which are never the loader's.
[[nodiscard]] std::vector<AddrRange> find_loader_memory(const MemoryImage& image,
                                                        const Symbols& symbols,
                                                        std::span<const LinkMap> maps,
                                                        const FirstThreadStorage& first,
                                                        std::span<const AddrRange> taken);

}  // namespace heapscan

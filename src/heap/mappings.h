// Raw anonymous mappings: memory the program mapped itself. Each becomes a block of its own kind.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// What is left of private anonymous memory without `taken` (sorted, disjoint). Sorted, disjoint.
[[nodiscard]] std::vector<AddrRange> find_mappings(const MemoryImage& image,
                                                   const std::vector<AddrRange>& taken);

// Memory reserved in one piece, without rights, and made usable here and there: whoever has an
// address in it has all of it. Replaces `mappings` (of find_mappings, with the same `taken`) inside
// such a piece by one that is as long as the piece.
void join_reservations(const MemoryImage& image, const std::vector<AddrRange>& taken,
                       std::vector<AddrRange>& mappings);

// Both: what is raw memory beside modules, threads, the loader and what the allocator `owns` (in
// any order).
[[nodiscard]] std::vector<AddrRange> raw_mappings(const MemoryImage& image,
                                                  const RuntimeFacts& runtime,
                                                  const std::vector<AddrRange>& owns);

}  // namespace heapscan

// Families by what their blocks are for certain: objects of a class, parts of a standard container.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// Takes families apart whose blocks begin as objects of different classes, or are owned by standard
// containers as different parts (a map's nodes and a vector's elements may have one shape) or, of
// nodes, at different places. Keeps the order of Families.
[[nodiscard]] Families tell_apart(const MemoryImage& image, const Symbols& symbols,
                                  const RuntimeFacts& runtime, const HeapModel& heap,
                                  const Roots& roots, const Reachability& reach, Families families);

}  // namespace heapscan

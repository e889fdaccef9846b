// What groups of blocks look like to somebody who sees another run of the program.
#pragma once

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// Sets the portraits of all rows; their samples must be chosen.
void draw_portraits(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
                    const HeapModel& heap, Families& groups);

}  // namespace heapscan

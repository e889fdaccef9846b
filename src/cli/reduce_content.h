// Snapshots that leave the house: what is left of the memory so that blocks can still be found and
// judged, and no text can be read.
//
// Kept whole: what the C library and the loader keep of themselves (their data, malloc's headers and
// lists, descriptors of threads) and what comes from the program's own files. Of everything else,
// aligned words that are addresses of mapped memory, words that hide a block's address, and with
// Content::Pointers numbers that are no text (kept_numbers.h). All the rest is zero, freed memory
// above all.
#pragma once

#include <span>
#include <vector>

#include "heapscan/acquire/snapshot.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// The rules for `level`, which is not Full. They refer to all arguments. `heap` is null where no
// allocator is understood; then words in malloc's memory are treated like others.
[[nodiscard]] ContentRules rules_of_content(const MemoryImage& image, const RuntimeFacts& runtime,
                                            const HeapModel* heap, Content level);

// A hash of each block in use. Its key is this start of this machine, which the file does not hold:
// whoever has only the file cannot try contents out.
[[nodiscard]] std::vector<BlockHash> hash_blocks(const MemoryImage& image, const HeapModel& heap);

}  // namespace heapscan

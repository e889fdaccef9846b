// Snapshots that leave the house: what is left of the memory so that blocks can still be found and
// judged, and no text can be read.
//
// Kept whole: what the C library and the loader keep of themselves (their data, malloc's headers and
// lists, descriptors of threads) and what comes from the program's own files. Of everything else,
// aligned words that are addresses of mapped memory, words that hide a block's address, and with
// Content::Pointers numbers that are no text (is_kept_number). All the rest is zero, freed memory
// above all.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/acquire/snapshot.h"
#include "heapscan/base/bytes.h"
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

// ---- numbers that are kept ----------------------------------------------------------------------

// Which words are numbers that a snapshot without contents keeps: counters, indices, sizes,
// reference counts. Which slots of a ring are in use, for one, only such numbers tell. Whatever may
// be more than two characters of a text, in any encoding, is none.

// A word and its neighbours in memory, which tell text from numbers. Neighbours that are addresses
// count as 0.
struct WordInPlace {
  uint64_t before = 0;
  uint64_t word = 0;
  uint64_t after = 0;
};

[[nodiscard]] bool is_kept_number(const WordInPlace& place);

// ---- a hash with a key --------------------------------------------------------------------------

// SipHash-2-4 (Aumasson, Bernstein 2012): a hash that cannot be worked out without its key.

struct SipKey {
  uint64_t low = 0;
  uint64_t high = 0;
};

[[nodiscard]] uint64_t sip_hash(const SipKey& key, Bytes bytes);

// The same until the machine is started anew; zero where the kernel does not tell.
[[nodiscard]] SipKey key_of_this_boot();

}  // namespace heapscan

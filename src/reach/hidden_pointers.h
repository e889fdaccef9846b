// Words that name a lost block without looking like its address: unaligned ones, and ones whose top
// bits carry tags, whatever their lowest three hold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/roots.h"

namespace heapscan {

struct HiddenPointer {
  uint64_t value = 0;  // the block's address
  Addr at;             // where the word lies
  bool tagged = false;
  constexpr auto operator<=>(const HiddenPointer&) const = default;
};

// A tagged word that is not in memory.
struct HiddenWord {
  uint64_t value = 0;  // the block's address
  size_t word = 0;     // its place among the root words
};

// Start pointers at blocks of `candidates` hidden in the saved bytes of `places`; sorted.
[[nodiscard]] std::vector<HiddenPointer> find_hidden_pointers(const MemoryImage& image,
                                                              const HeapModel& heap,
                                                              const BlockBitmap& candidates,
                                                              std::span<const AddrRange> places);

// The same for words by themselves, registers above all.
[[nodiscard]] std::vector<HiddenWord> find_hidden_words(const HeapModel& heap,
                                                        const BlockBitmap& candidates,
                                                        std::span<const RootWord> words);

// What may hide pointers: strong and weak roots, and the judged blocks whose bit in `searched` is
// set. Sorted, touching ranges joined (headers between blocks included).
[[nodiscard]] std::vector<AddrRange> places_to_search(const MemoryImage& image,
                                                      const HeapModel& heap, const Roots& roots,
                                                      const BlockBitmap& searched);

}  // namespace heapscan

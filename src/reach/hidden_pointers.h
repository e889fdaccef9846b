// Words that name a lost block without looking like its address: unaligned ones, and ones with tags
// in the top bits.
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

// Start pointers at blocks of `candidates` hidden in the saved bytes of `places`; sorted.
[[nodiscard]] std::vector<HiddenPointer> find_hidden_pointers(const MemoryImage& image,
                                                              const HeapModel& heap,
                                                              const BlockBitmap& candidates,
                                                              std::span<const AddrRange> places);

// What may hide pointers: strong and weak roots, and the judged blocks whose bit in `searched` is
// set. Sorted, touching ranges joined (headers between blocks included).
[[nodiscard]] std::vector<AddrRange> places_to_search(const MemoryImage& image,
                                                      const HeapModel& heap, const Roots& roots,
                                                      const BlockBitmap& searched);

}  // namespace heapscan

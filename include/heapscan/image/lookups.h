// What many look up in an image: whether an address is code, and the words of a stretch of memory.
#pragma once

#include <cstdint>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Whether `at` lies in memory that may be executed.
[[nodiscard]] inline bool is_code(const MemoryImage& image, Addr at) {
  const Region* const region = image.region_at(at);
  return region != nullptr && region->perms.execute;
}

// Calls f(Addr, uint64_t) for each aligned word of what MemoryImage::for_each_span() visits.
template <typename F>
void for_each_word(const MemoryImage& image, AddrRange range, F&& f) {
  image.for_each_span(range, [&](Addr begin, Bytes bytes) {
    for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8)
      f(begin + i, load<uint64_t>(bytes.data() + i));
  });
}

}  // namespace heapscan

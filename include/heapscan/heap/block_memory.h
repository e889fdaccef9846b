// Where the bytes of blocks lie in our own memory, so that scanning a block needs no search through
// regions.
#pragma once

#include <algorithm>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"

namespace heapscan {

class BlockMemory {
 public:
  BlockMemory(const MemoryImage& image, const BlockIndex& index);

  // Blocks up to this many bytes are scanned as they lie; in larger ones stretches never touched
  // are left out.
  static constexpr uint64_t kDirect = 16 << 10;

  // The bytes at `address` in range `range` of the index; null when the range is not saved in one
  // piece.
  [[nodiscard]] const std::byte* at(uint32_t range, uint64_t address) const {
    const Base& base = bases_[range];
    return base.host == nullptr ? nullptr : base.host + (address - base.begin);
  }

  // Calls f(address, bytes) for the saved stretches of `part`, which lies within a block of range
  // `range`. Stretches begin at multiples of 8.
  template <typename F>
  void for_each_span(uint32_t range, AddrRange part, F&& f) const {
    if (part.size() <= kDirect) {
      if (const std::byte* bytes = at(range, part.begin().value)) {
        f(part.begin(), Bytes(bytes, part.size()));
        return;
      }
    }
    image_.for_each_span(part, [&](Addr begin, Bytes bytes) {
      const uint64_t skip = begin.align_up(8) - begin;
      if (skip < bytes.size()) f(begin + skip, bytes.subspan(skip));
    });
  }

 private:
  struct Base {
    const std::byte* host = nullptr;
    uint64_t begin = 0;
  };
  const MemoryImage& image_;
  std::vector<Base> bases_;
};

}  // namespace heapscan

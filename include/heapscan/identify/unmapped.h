// Addresses among the libraries where nothing is mapped now: of what was unloaded.
//
// Refers to the image, which must outlive it.
#pragma once

#include <cstdint>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan {

class UnmappedPlaces {
 public:
  explicit UnmappedPlaces(const MemoryImage& image);
  [[nodiscard]] bool has(uint64_t word) const;

 private:
  const MemoryImage& image_;
  AddrRange libraries_;  // from below the lowest of them to the end of the highest
};

}  // namespace heapscan

#include "heapscan/identify/unmapped.h"

#include <algorithm>

namespace heapscan {

// Later libraries are mapped below earlier ones, so what was unloaded may have been the lowest.
UnmappedPlaces::UnmappedPlaces(const MemoryImage& image) : image_(image) {
  constexpr uint64_t kBelow = 256 << 20;
  uint64_t begin = ~uint64_t{0};
  uint64_t end = 0;
  for (const Module& module : image.modules()) {
    const Region* const region = image.region_at(module.range.begin());
    const bool is_kernels = region != nullptr && region->backing == Backing::Special;
    if (module.is_executable || is_kernels) continue;
    begin = std::min(begin, module.range.begin().value);
    end = std::max(end, module.range.end().value);
  }
  if (begin < end) libraries_ = {Addr(begin - std::min(begin, kBelow)), Addr(end)};
}

bool UnmappedPlaces::has(uint64_t word) const {
  const Addr address(word);
  return libraries_.contains(address) && image_.region_at(address) == nullptr &&
         image_.module_at(address) == nullptr;
}

}  // namespace heapscan

// Where the code behind an allocating call puts the pointer that the call returned.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/symbols/debug_info.h"

namespace heapscan {

struct ResultPlaces {
  std::vector<ValuePlace> places;  // in the order in which it comes to be there
  std::vector<Addr> written_at;    // addresses in the image
};

// Looks at a few instructions, and goes along jumps, not branches.
[[nodiscard]] ResultPlaces places_of_result(const MemoryImage& image, const CallSite& site);

}  // namespace heapscan

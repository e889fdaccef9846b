// Whether what a call asks for explains the sizes that blocks have: through malloc's rounding (glibc,
// request2size), the 16 bytes that it sometimes leaves with a block because they are too few for a
// chunk, and whole pages for large ones.
#pragma once

#include "heapscan/identify/families.h"
#include "heapscan/sites/call_sites.h"

namespace heapscan {

// Most of the blocks, and most of those exactly.
[[nodiscard]] bool covers(const Sizes& sizes, const RequestedBytes& bytes);

}  // namespace heapscan

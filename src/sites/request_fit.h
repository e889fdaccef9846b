// Whether what a call asks for explains the sizes that blocks have, through malloc's rounding and the
// rest that it sometimes leaves with a block (identify/requests.h).
#pragma once

#include "heapscan/identify/families.h"
#include "heapscan/sites/call_sites.h"

namespace heapscan {

// Most of the blocks, and most of those exactly.
[[nodiscard]] bool covers(const Sizes& sizes, const RequestedBytes& bytes);

}  // namespace heapscan

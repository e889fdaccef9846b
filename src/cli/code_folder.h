// Where what was found out about modules' code is kept: files in $XDG_CACHE_HOME/heapscan, or
// ~/.cache/heapscan (XDG Base Directory Specification 0.8). Nothing depends on them: a folder that is
// missing, full, somebody else's or may not be written keeps nothing, and nobody is told.
#pragma once

#include <cstdint>

#include "heapscan/sites/code_store.h"

namespace heapscan {

constexpr uint64_t kMostCodeKept = uint64_t{256}
                                   << 20;  // bytes; what was not used longest goes first

// A store that keeps nothing when there is no such folder and none can be made.
[[nodiscard]] CodeStore open_code_folder(uint64_t most = kMostCodeKept);

}  // namespace heapscan

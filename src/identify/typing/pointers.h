// Arrays of pointers whose targets are known.
#pragma once

#include <vector>

#include "identify/typing/check.h"

namespace heapscan {

// The struct that nearly all pointers in the samples lead to, when the samples hold nothing else
// but null; none otherwise.
[[nodiscard]] TypeId common_pointee(Checker& checker, const std::vector<Words>& samples);

}  // namespace heapscan

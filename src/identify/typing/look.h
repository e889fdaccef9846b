// Which live type's blocks look like those of a cluster.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "identify/typing/check.h"
#include "identify/typing/live.h"

namespace heapscan {

// The one of `live` (all of the cluster's size) whose examples agree with the samples in every word
// and in several that mean something. Nothing when several types do.
[[nodiscard]] const LiveType* look_alike(Checker& checker, std::span<const LiveType> live,
                                         const std::vector<Words>& samples);

// The one of `live` of which there are arrays of the samples' size, and whose elements the samples'
// elements can be: no member contradicts, and those that take few values take no others.
[[nodiscard]] const LiveArray* array_alike(Checker& checker, std::span<const LiveArray> live,
                                           const std::vector<Words>& samples);

}  // namespace heapscan

// Which live type's blocks, or arrays of which pointers, the blocks of a family look like.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "identify/typing/checker.h"
#include "identify/typing/live_types.h"

namespace heapscan {

// The one of `live` (all of the family's size) whose examples agree with the samples in every word
// and in several that mean something. Nothing when several types do.
[[nodiscard]] const LiveType* look_alike(Checker& checker, std::span<const LiveType> live,
                                         const std::vector<Words>& samples);

// The one of `live` of which there are arrays of the samples' size, and whose elements the samples'
// elements can be: no member contradicts, and those that take few values take no others.
[[nodiscard]] const LiveArray* array_alike(Checker& checker, std::span<const LiveArray> live,
                                           const std::vector<Words>& samples);

// The struct that nearly all pointers in the samples lead to, when the samples hold nothing else
// but null; none otherwise.
[[nodiscard]] TypeId common_pointee(Checker& checker, const std::vector<Words>& samples);

}  // namespace heapscan

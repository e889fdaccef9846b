// The text of /proc that samples are read from. Formats: Linux
// Documentation/filesystems/proc.rst.
#pragma once

#include <optional>
#include <string_view>

#include "heapscan/image/memory_sample.h"

namespace heapscan {

// Of status and smaps_rollup, which may be empty: kernels before 4.14 have none, and others may not
// let us read it. Nothing where `status` is of no process with memory.
[[nodiscard]] std::optional<MemorySample> parse_sample(std::string_view status,
                                                       std::string_view rollup);

}  // namespace heapscan

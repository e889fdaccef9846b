// What decides how code is read, besides the code: two versions that differ may come to different results.
#pragma once

#include <cstdint>

namespace heapscan {

// Of this layer's sources, when heapscan was built, and of the decoder in use.
[[nodiscard]] uint64_t reading_version();

}  // namespace heapscan

// Unpacking xz data, as .gnu_debugdata holds it.
#pragma once

#include <cstdint>
#include <optional>

#include "heapscan/base/bytes.h"
#include "heapscan/base/fd.h"

namespace heapscan {

// Nothing when the data is damaged or cut off, unpacks to more than `limit` bytes, or needs more
// than 128 MiB to be unpacked.
[[nodiscard]] std::optional<MappedMemory> unpack_xz(Bytes packed, uint64_t limit);

}  // namespace heapscan

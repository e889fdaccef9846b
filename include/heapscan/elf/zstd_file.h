// Unpacking a zstd-compressed core into a file that has no name, so that it can be mapped like any
// other.
#pragma once

#include <cstdint>
#include <string>

#include "heapscan/base/bytes.h"
#include "heapscan/base/fd.h"

namespace heapscan {

[[nodiscard]] bool has_zstd_magic(Bytes bytes);

struct UnpackedFile {
  Fd file;
  uint64_t size = 0;
  std::string
      incomplete;  // why unpacking ended early, "its zstd data is cut off"; empty: it is whole
};

// All frames of `packed`, one after the other. The result lies in memory when the frame says that
// it is small, else in TMPDIR (/tmp), and is gone once closed; pages of zeros become holes. Data
// that is damaged or cut off is unpacked up to there. Throws Error (Acquire) naming `name`: nothing
// could be unpacked, larger than `limit`, a window beyond 128 MiB, no space.
[[nodiscard]] UnpackedFile unpack_zstd(Bytes packed, const std::string& name,
                                       uint64_t limit = uint64_t{1} << 40);

}  // namespace heapscan

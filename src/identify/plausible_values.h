// What memory has to hold to be taken for text, and for a time.
#pragma once

#include <cstdint>

namespace heapscan {

[[nodiscard]] constexpr bool is_printable(uint64_t byte) {
  return (byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\t' || byte == '\r';
}

// The years in which a number that may be seconds since 1970 is taken for a time.
inline constexpr uint64_t kFirstSecond = 946'684'800;   // 2000-01-01
inline constexpr uint64_t kLastSecond = 2'524'608'000;  // 2050-01-01

}  // namespace heapscan

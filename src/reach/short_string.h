// A std::string of libstdc++ that holds its few characters itself: {their address, which is right
// behind, how many, 16 bytes}. What those bytes held before the characters came is there still, and
// is no pointer of anybody's.
#pragma once

#include <cstdint>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"

namespace heapscan {

constexpr uint64_t kShortString = 32;  // bytes of the object

// Whether one lies at `at`, which is bytes[i]. Characters are no NUL, and one follows them: an array
// with room in its own object has the same words, but pointers in it have NULs.
[[nodiscard]] inline bool is_short_string(Addr at, Bytes bytes, size_t i) {
  constexpr uint64_t kText = 16;
  if (i + kShortString > bytes.size()) return false;
  if (load<uint64_t>(bytes.data() + i) != at.value + kText) return false;
  const auto length = load<uint64_t>(bytes.data() + i + 8);
  if (length >= kShortString - kText) return false;
  const Bytes text = bytes.subspan(i + kText, length + 1);
  for (size_t k = 0; k < length; ++k) {
    if (text[k] == std::byte{0}) return false;
  }
  return text[length] == std::byte{0};
}

}  // namespace heapscan

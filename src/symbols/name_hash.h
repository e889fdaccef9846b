// FNV-1a, 32 bits: the key of the by-name index.
#pragma once

#include <cstdint>
#include <string_view>

namespace heapscan {

[[nodiscard]] constexpr uint32_t hash_of_name(std::string_view name) {
  uint32_t hash = 2166136261U;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return hash;
}

}  // namespace heapscan

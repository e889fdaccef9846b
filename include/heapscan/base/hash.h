// The hashes that signatures and fingerprints are made with. Fingerprints outlive runs and builds,
// so nothing here may depend on the standard library, on addresses or on a seed.
#pragma once

#include <cstdint>
#include <string_view>

namespace heapscan {

// The finalizer of MurmurHash3.
[[nodiscard]] constexpr uint64_t mix(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccd;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53;
  return h ^ h >> 33;
}
[[nodiscard]] constexpr uint64_t mix(uint64_t a, uint64_t b) {
  return mix(a ^ mix(b + 0x9e3779b97f4a7c15));
}

// FNV-1a.
[[nodiscard]] constexpr uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace heapscan

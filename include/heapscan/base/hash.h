// The hashes that signatures and fingerprints are made with. Fingerprints outlive runs and builds,
// so nothing here may depend on the standard library, on addresses or on a seed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
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

// CRC-32 as gzip (RFC 1952) and .gnu_debuglink have it.
[[nodiscard]] constexpr uint32_t crc32_of(std::span<const std::byte> bytes) {
  constexpr auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit)
        value = (value & 1) != 0 ? value >> 1 ^ 0xedb88320U : value >> 1;
      table[i] = value;
    }
    return table;
  }();
  uint32_t crc = ~uint32_t{0};
  for (const std::byte b : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<uint8_t>(b)) & 0xff];
  return ~crc;
}

}  // namespace heapscan

// Reading integers and structs out of foreign bytes, with every length checked; counting bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace heapscan {

using Bytes = std::span<const std::byte>;

// An unaligned load. The caller has checked that sizeof(T) bytes are there.
template <typename T>
[[nodiscard]] inline T load(const std::byte* at) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <typename T>
[[nodiscard]] std::optional<T> read_at(Bytes bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  return load<T>(bytes.data() + offset);
}

// The sub-span [offset, offset+length), or nothing when any of it lies outside.
[[nodiscard]] inline std::optional<Bytes> slice(Bytes bytes, uint64_t offset, uint64_t length) {
  if (offset > bytes.size() || bytes.size() - offset < length) return std::nullopt;
  return bytes.subspan(offset, length);
}

// The NUL-terminated string at offset; what there is of it when the NUL is missing.
[[nodiscard]] inline std::string_view string_at(Bytes bytes, uint64_t offset) {
  if (offset >= bytes.size()) return {};
  const char* begin = reinterpret_cast<const char*>(bytes.data()) + offset;
  return {begin, strnlen(begin, bytes.size() - offset)};
}

// ---- counting bits ------------------------------------------------------------------------------

// The number of bits set. std::popcount is a call into a table lookup on processors that need not
// have the instruction.
[[nodiscard]] constexpr uint32_t count_bits(uint64_t word) {
  word -= word >> 1 & 0x5555555555555555;
  word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<uint32_t>(word * 0x0101010101010101 >> 56);
}

}  // namespace heapscan

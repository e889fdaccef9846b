// Reads DWARF's integers one after the other. Past the end, or after anything malformed, every read
// yields 0 and failed() stays true: callers check once per record.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "heapscan/base/bytes.h"

namespace heapscan {

class DwarfCursor {
 public:
  DwarfCursor() = default;
  explicit DwarfCursor(Bytes bytes, uint64_t at = 0) : bytes_(bytes), at_(at) {
    if (at > bytes.size()) fail();
  }

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return at_ >= bytes_.size(); }
  [[nodiscard]] uint64_t at() const { return at_; }
  [[nodiscard]] uint64_t left() const { return bytes_.size() - at_; }
  void fail() {
    failed_ = true;
    at_ = bytes_.size();
  }

  uint8_t u8() { return fixed<uint8_t>(); }
  uint16_t u16() { return fixed<uint16_t>(); }
  uint32_t u32() { return fixed<uint32_t>(); }
  uint64_t u64() { return fixed<uint64_t>(); }
  // 1 to 8 bytes, little endian.
  uint64_t unsigned_of(uint64_t size) {
    if (size > 8 || size > left()) return fail(), 0;
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + at_, size);
    at_ += size;
    return value;
  }
  // Bits beyond the 64th are lost.
  uint64_t uleb() {
    uint64_t value = 0;
    for (unsigned shift = 0; at_ < bytes_.size(); shift += 7) {
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      if (shift < 64) value |= uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
    return fail(), 0;
  }
  int64_t sleb() {
    uint64_t value = 0;
    for (unsigned shift = 0; at_ < bytes_.size();) {
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      if (shift < 64) value |= uint64_t{byte & 0x7fU} << shift;
      shift += 7;
      if (byte < 0x80) {
        if (shift < 64 && (byte & 0x40) != 0) value |= ~uint64_t{0} << shift;
        return static_cast<int64_t>(value);
      }
    }
    return fail(), 0;
  }
  std::string_view text() {
    const std::string_view value = string_at(bytes_, at_);
    if (value.size() >= left()) return fail(), std::string_view();
    at_ += value.size() + 1;
    return value;
  }
  Bytes block(uint64_t size) {
    if (size > left()) return fail(), Bytes();
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }
  void skip(uint64_t size) {
    if (size > left()) return fail();
    at_ += size;
  }

 private:
  template <typename T>
  T fixed() {
    if (left() < sizeof(T)) return fail(), T{};
    at_ += sizeof(T);
    return load<T>(bytes_.data() + at_ - sizeof(T));
  }

  Bytes bytes_;
  uint64_t at_ = 0;
  bool failed_ = false;
};

}  // namespace heapscan

// Numbers one after another in few bytes: seven bits in each, the lowest first; the eighth says that more
// follow (LEB128, as in DWARF). A reader that comes to what cannot be remembers that, and reads zeros from
// there on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "heapscan/base/bytes.h"

namespace heapscan {

class PackedWriter {
 public:
  void put(uint64_t number) {
    for (; number >= 0x80; number >>= 7) put_byte(static_cast<uint8_t>(number | 0x80));
    put_byte(static_cast<uint8_t>(number));
  }
  void put_signed(int64_t number) {
    put(static_cast<uint64_t>(number) << 1 ^ static_cast<uint64_t>(number >> 63));
  }
  void put_byte(uint8_t byte) { bytes_.push_back(std::byte{byte}); }
  void put_bytes(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  [[nodiscard]] size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class PackedReader {
 public:
  explicit PackedReader(Bytes bytes) : bytes_(bytes) {}

  uint64_t number() {
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      result |= uint64_t{next & 0x7fU} << shift;
      if (next < 0x80) return result;
    }
    fail();
    return 0;
  }
  // At most `most`.
  uint64_t number(uint64_t most) {
    const uint64_t result = number();
    if (result <= most) return result;
    fail();
    return 0;
  }
  int64_t signed_number() {
    const uint64_t coded = number();
    return static_cast<int64_t>(coded >> 1 ^ (~(coded & 1) + 1));
  }
  uint8_t byte() {
    if (at_ < bytes_.size()) return static_cast<uint8_t>(bytes_[at_++]);
    fail();
    return 0;
  }
  Bytes bytes(uint64_t length) {
    const Bytes result = slice(bytes_, at_, length).value_or(Bytes());
    if (result.size() != length) fail();
    at_ += result.size();
    return result;
  }
  // How many things of at least `least` bytes each come next; not more than can.
  size_t count(size_t most, size_t least = 1) {
    return number(std::min<uint64_t>(most, (bytes_.size() - at_) / least));
  }

  void fail() {
    is_damaged_ = true;
    at_ = bytes_.size();
  }
  [[nodiscard]] bool is_damaged() const { return is_damaged_; }
  [[nodiscard]] bool is_at_end() const { return at_ == bytes_.size(); }

 private:
  Bytes bytes_;
  size_t at_ = 0;
  bool is_damaged_ = false;
};

}  // namespace heapscan

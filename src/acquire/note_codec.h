// How the HEAPSCAN note spells numbers, strings and lists (docs/snapshot-format.md): little-endian
// words of fixed size where the value is arbitrary, LEB128 where it is small as a rule.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"

namespace heapscan {

class NoteWriter {
 public:
  void number(uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      bytes_.push_back(static_cast<std::byte>((value & 0x7f) | 0x80));
    bytes_.push_back(static_cast<std::byte>(value));
  }
  void word(uint64_t value) {
    const auto* const at = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), at, at + sizeof value);
  }
  void real(double value) { word(std::bit_cast<uint64_t>(value)); }
  void text(std::string_view value) {
    number(value.size());
    raw(std::as_bytes(std::span(value)));
  }
  void raw(Bytes value) { bytes_.insert(bytes_.end(), value.begin(), value.end()); }
  // Of a sorted list of ranges the next one: how far it begins behind the end of the last, and how
  // long it is.
  void next_range(AddrRange range, Addr& last) {
    number(range.begin() - last);
    number(range.size());
    last = range.end();
  }
  void ranges(const std::vector<AddrRange>& sorted) {
    number(sorted.size());
    Addr last;
    for (const AddrRange& range : sorted) next_range(range, last);
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

// Reads what NoteWriter wrote, or anything else: once something does not fit, failed() is true and
// everything read is 0 or empty.
class NoteReader {
 public:
  explicit NoteReader(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return at_ == bytes_.size(); }

  uint64_t number() {
    uint64_t value = 0;
    for (unsigned shift = 0; at_ < bytes_.size() && shift < 64; shift += 7) {
      const auto byte = static_cast<uint64_t>(bytes_[at_++]);
      const uint64_t digits = byte & 0x7f;
      if (shift == 63 && digits > 1) break;
      value |= digits << shift;
      if (byte < 0x80) return value;
    }
    return fail();
  }
  // A number that has to be below `limit`.
  uint64_t number_below(uint64_t limit) {
    const uint64_t value = number();
    return value < limit ? value : fail();
  }
  bool flag() { return number_below(2) != 0; }
  // How many elements follow, each of which takes at least `least` bytes.
  size_t count(size_t least = 1) {
    const uint64_t value = number();
    return value <= (bytes_.size() - at_) / least ? static_cast<size_t>(value)
                                                  : static_cast<size_t>(fail());
  }
  uint64_t word() {
    const auto value = read_at<uint64_t>(bytes_, at_);
    if (!value) return fail();
    at_ += sizeof *value;
    return *value;
  }
  double real() { return std::bit_cast<double>(word()); }
  std::string text() {
    const Bytes bytes = raw(count());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  Bytes raw(uint64_t size) {
    const auto bytes = slice(bytes_, at_, size);
    if (!bytes) {
      fail();
      return {};
    }
    at_ += size;
    return *bytes;
  }
  AddrRange next_range(Addr& last) {
    uint64_t begin = 0;
    uint64_t end = 0;
    if (__builtin_add_overflow(last.value, number(), &begin) ||
        __builtin_add_overflow(begin, number(), &end)) {
      fail();
      return {};
    }
    last = Addr(end);
    return {Addr(begin), Addr(end)};
  }
  std::vector<AddrRange> ranges() {
    std::vector<AddrRange> sorted(count(2));
    Addr last;
    for (AddrRange& range : sorted) range = next_range(last);
    return sorted;
  }

  // Also for values that can be read and mean nothing.
  uint64_t fail() {
    failed_ = true;
    at_ = bytes_.size();
    return 0;
  }

 private:
  Bytes bytes_;
  uint64_t at_ = 0;
  bool failed_ = false;
};

}  // namespace heapscan

// Addresses of the target.
//
// Addr is an address in the target's memory: arithmetic saturates instead of wrapping, and it
// cannot be dereferenced. FileAddr is an address as written in an ELF file; only a Module converts
// one into the other. AddrRange is half-open, begin <= end always.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <limits>

namespace heapscan {

inline constexpr uint64_t kPage = 4096;  // bytes; what x86-64 maps memory in

struct Addr {
  uint64_t value = 0;

  constexpr Addr() = default;
  constexpr explicit Addr(uint64_t v) : value(v) {}
  constexpr auto operator<=>(const Addr&) const = default;
  [[nodiscard]] constexpr bool is_null() const { return value == 0; }
  [[nodiscard]] constexpr bool is_aligned(uint64_t power_of_two) const {
    return (value & (power_of_two - 1)) == 0;
  }
  [[nodiscard]] constexpr Addr align_down(uint64_t power_of_two) const {
    return Addr(value & ~(power_of_two - 1));
  }
  // Saturates at the largest multiple when there is no aligned address above.
  [[nodiscard]] constexpr Addr align_up(uint64_t power_of_two) const {
    const uint64_t mask = power_of_two - 1;
    return value > std::numeric_limits<uint64_t>::max() - mask ? Addr(~mask)
                                                               : Addr((value + mask) & ~mask);
  }
};

constexpr Addr operator+(Addr a, uint64_t bytes) {
  return a.value > std::numeric_limits<uint64_t>::max() - bytes
             ? Addr(std::numeric_limits<uint64_t>::max())
             : Addr(a.value + bytes);
}
constexpr Addr operator-(Addr a, uint64_t bytes) {
  return a.value < bytes ? Addr(0) : Addr(a.value - bytes);
}
// Distance in bytes from b up to a; 0 when a lies below b.
constexpr uint64_t operator-(Addr a, Addr b) { return a.value < b.value ? 0 : a.value - b.value; }

struct FileAddr {
  uint64_t value = 0;
  constexpr FileAddr() = default;
  constexpr explicit FileAddr(uint64_t v) : value(v) {}
  constexpr auto operator<=>(const FileAddr&) const = default;
};

class AddrRange {
 public:
  constexpr AddrRange() = default;
  // An end below begin yields the empty range at begin.
  constexpr AddrRange(Addr begin, Addr end) : begin_(begin), end_(end < begin ? begin : end) {}
  [[nodiscard]] static constexpr AddrRange sized(Addr begin, uint64_t bytes) {
    return {begin, begin + bytes};
  }
  [[nodiscard]] constexpr Addr begin() const { return begin_; }
  [[nodiscard]] constexpr Addr end() const { return end_; }
  [[nodiscard]] constexpr uint64_t size() const { return end_.value - begin_.value; }
  [[nodiscard]] constexpr bool empty() const { return begin_ == end_; }
  [[nodiscard]] constexpr bool contains(Addr a) const { return begin_ <= a && a < end_; }
  [[nodiscard]] constexpr bool contains(AddrRange r) const {
    return begin_ <= r.begin_ && r.end_ <= end_;
  }
  [[nodiscard]] constexpr bool overlaps(AddrRange r) const {
    return begin_ < r.end_ && r.begin_ < end_;
  }
  [[nodiscard]] constexpr AddrRange intersect(AddrRange r) const {
    return {begin_ < r.begin_ ? r.begin_ : begin_, end_ < r.end_ ? end_ : r.end_};
  }
  constexpr auto operator<=>(const AddrRange&) const = default;

 private:
  Addr begin_;
  Addr end_;
};

}  // namespace heapscan

template <>
struct std::hash<heapscan::Addr> {
  size_t operator()(heapscan::Addr a) const noexcept { return std::hash<uint64_t>{}(a.value); }
};

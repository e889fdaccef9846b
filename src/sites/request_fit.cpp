#include "sites/request_fit.h"

#include <algorithm>

#include "heapscan/base/addr.h"

namespace heapscan {

namespace {

constexpr double kLeastCovered =
    0.85;  // share of a cluster's blocks whose sizes a site must explain
constexpr uint64_t kLeastMapped = 128 * 1024;  // bytes; malloc's first threshold for mappings
constexpr uint64_t kChunkHeader = 8;           // of a chunk in use: the size word
constexpr uint64_t kSmallestUsable = 24;

uint64_t usable_of(uint64_t requested) {
  if (requested >= kLeastMapped) {
    return ((requested + 2 * kChunkHeader + kPage - 1) & ~(kPage - 1)) - 2 * kChunkHeader;
  }
  const uint64_t usable = ((requested + kChunkHeader + 15) & ~uint64_t{15}) - kChunkHeader;
  return std::max(usable, kSmallestUsable);
}

// How a request explains the size of a block: malloc now and then leaves 16 bytes more with it than
// it rounds to, and large blocks may come from the heap or be mappings.
enum class Explained : uint8_t { No, WithRest, Exactly };

Explained explains(uint64_t requested, uint64_t usable) {
  uint64_t exact = usable_of(requested);
  if (usable == exact) return Explained::Exactly;
  if (requested >= kLeastMapped) {
    exact = ((requested + kChunkHeader + 15) & ~uint64_t{15}) - kChunkHeader;
    if (usable == exact) return Explained::Exactly;
  }
  return usable == exact + kLeftOver ? Explained::WithRest : Explained::No;
}

// base + n * step, for some n that is not 0 unless base is not.
Explained explains_some(uint64_t base, uint64_t step, uint64_t usable) {
  const auto fits = [&](uint64_t least) {
    if (usable < base) return false;
    const uint64_t n = (usable - base) / step;
    return (n != 0 || base != 0) && base + n * step >= least;
  };
  if (fits(usable <= kSmallestUsable ? 0 : usable - 15)) return Explained::Exactly;
  return fits(usable <= 2 * kSmallestUsable ? 0 : usable - 15 - kLeftOver) ? Explained::WithRest
                                                                           : Explained::No;
}

Explained explains(const RequestedBytes& bytes, uint64_t usable) {
  switch (bytes.kind) {
    case RequestedBytes::Kind::Constant: {
      Explained best = Explained::No;
      for (const uint64_t r : bytes.constants) best = std::max(best, explains(r, usable));
      return best;
    }
    case RequestedBytes::Kind::Linear:
      return explains_some(bytes.base, bytes.step, usable);
    case RequestedBytes::Kind::Unknown:
      return Explained::Exactly;
  }
  return Explained::No;
}

}  // namespace

// Whether the bytes that a site asks for explain the sizes of a cluster's blocks.
bool covers(const Sizes& sizes, const RequestedBytes& bytes) {
  uint64_t exact = 0;
  uint64_t all = 0;
  uint64_t blocks = 0;
  for (const auto& [size, count] : sizes) {
    blocks += count;
    const Explained explained = explains(bytes, size);
    if (explained != Explained::No) all += count;
    if (explained == Explained::Exactly) exact += count;
  }
  return static_cast<double>(all) >= kLeastCovered * static_cast<double>(blocks) &&
         2 * exact >= all;
}

}  // namespace heapscan

// Structs of known libraries, each told by what only it has: a magic number, a pointer to itself,
// lengths that add up. A check must be so strong that one block that passes it is one.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "identify/recognisers/recogniser_samples.h"

namespace heapscan {

struct KnownStruct {
  const char* label;
  const char* detail;  // what was checked, as a sentence for people
  uint64_t min_size;   // usable bytes
  uint64_t max_size;
  bool (*is_one)(const Inputs& inputs, const Sample& sample);
};
// What a sample holds at the offset; 0 behind its end.
[[nodiscard]] inline uint64_t word(const Sample& sample, uint64_t offset) {
  return sample.word(offset).value_or(0);
}
[[nodiscard]] inline uint32_t half(const Sample& sample, uint64_t offset) {
  return read_at<uint32_t>(sample.bytes, offset).value_or(0);
}

inline constexpr uint64_t kAnySize = std::numeric_limits<uint64_t>::max();

// Those with a mapping of their own may have a page more than was asked for.
inline constexpr uint64_t kSmallestMapping = 128 << 10;
[[nodiscard]] constexpr bool fills(uint64_t bytes, uint64_t usable) {
  const uint64_t slack = usable < kSmallestMapping ? kBlockSlack : kBlockSlack + kPage;
  return bytes <= usable && usable - bytes <= slack;
}

[[nodiscard]] std::span<const KnownStruct> stdio_structs();
[[nodiscard]] std::span<const KnownStruct> c_library_structs();
[[nodiscard]] std::span<const KnownStruct> runtime_structs();  // loader, libstdc++
[[nodiscard]] std::span<const KnownStruct> openssl_structs();
[[nodiscard]] std::span<const KnownStruct> other_structs();  // apr, zlib, curl, libxml2
// Only where GLib is in use; those that are told by a number of their own, and the others.
[[nodiscard]] std::span<const KnownStruct> glib_structs();
[[nodiscard]] std::span<const KnownStruct> glib_containers();

[[nodiscard]] bool is_one(const Inputs& inputs, const Sample& sample, const KnownStruct& known);
// The first of them that nearly all samples of the cluster are.
[[nodiscard]] std::optional<Evidence> recognise_known(const Inputs& inputs, ClusterId cluster,
                                                      std::span<const Sample> samples,
                                                      std::span<const KnownStruct> structs);

}  // namespace heapscan

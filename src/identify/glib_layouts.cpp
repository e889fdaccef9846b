#include "identify/glib_layouts.h"

#include <bit>

namespace heapscan {

namespace {

// The first prime below each power of two, from 8 on.
constexpr uint32_t kFirstShift = 3;
constexpr std::array<uint32_t, 28> kModuli = {
    7,        13,       31,       61,        127,       251,       509,
    1021,     2039,     4093,     8191,      16381,     32749,     65521,
    131071,   262139,   524287,   1048573,   2097143,   4194301,   8388593,
    16777213, 33554393, 67108859, 134217689, 268435399, 536870909, 1073741789};

}  // namespace

bool is_glib_table_head(Bytes head, const GlibTable& layout) {
  const auto half = [&](uint64_t offset) { return load<uint32_t>(head.data() + offset); };
  const uint32_t size = half(0);
  if (!std::has_single_bit(size) || size >> kFirstShift == 0) return false;
  const size_t row = static_cast<size_t>(std::countr_zero(size)) - kFirstShift;
  const bool is_wide = layout.modulus == 8;
  const uint32_t nodes = half(layout.modulus + 8);
  const uint32_t occupied = half(layout.modulus + 12);
  return row < kModuli.size() && half(layout.modulus) == kModuli[row] &&
         half(layout.modulus + 4) == size - 1 && (!is_wide || half(4) == 0) && nodes <= occupied &&
         occupied <= size;
}

}  // namespace heapscan

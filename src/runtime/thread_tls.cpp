#include "runtime/thread_tls.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>

namespace heapscan {

namespace {

// More static TLS than any loader would reserve: a larger figure is damage.
constexpr uint64_t kLargestStaticTls = uint64_t{1} << 28;
constexpr uint64_t kLargestAlignment = uint64_t{1} << 16;

uint64_t rounded_up(uint64_t value, uint64_t power_of_two) {
  return (value + power_of_two - 1) & ~(power_of_two - 1);
}

uint64_t sum_of_segments(const MemoryImage& image) {
  uint64_t total = 0;
  for (const Module& module : image.modules()) {
    if (!module.tls || module.tls->size > kLargestStaticTls) continue;
    const uint64_t align = std::has_single_bit(module.tls->align) ? module.tls->align : 1;
    total = rounded_up(total + module.tls->size, std::min(align, kLargestAlignment));
    if (total > kLargestStaticTls) return kLargestStaticTls;
  }
  return total;
}

// Byte offset of l_tls_offset in struct link_map: what glibc tells libthread_db.
std::optional<uint64_t> offset_of_tls_offset(const MemoryImage& image, const Symbols& symbols) {
  for (size_t i = 0; i < image.modules().size(); ++i) {
    const auto descriptor = symbols.address_of(ModuleId(i), "_thread_db_link_map_l_tls_offset");
    if (!descriptor) continue;
    const auto offset = image.read<uint32_t>(*descriptor + 8);
    if (offset && *offset >= 0x100 && *offset < 0x2000) return *offset;
  }
  return std::nullopt;
}

}  // namespace

uint64_t static_tls_size(const MemoryImage& image, const Symbols& symbols,
                         std::span<const LinkMap> maps) {
  const auto member = offset_of_tls_offset(image, symbols);
  uint64_t total = 0;
  for (const LinkMap& map : maps) {
    if (!member) break;
    // 0: no TLS, or not placed yet; -1: dynamic only.
    const uint64_t offset = image.read<uint64_t>(map.at + *member).value_or(0);
    if (offset <= kLargestStaticTls) total = std::max(total, offset);
  }
  return total != 0 ? rounded_up(total, 8) : rounded_up(sum_of_segments(image), 8);
}

}  // namespace heapscan

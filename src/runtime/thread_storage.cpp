#include "runtime/runtime_parts.h"

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

namespace {

constexpr uint64_t kDtvHeader = 16;  // before the entry of module 0: the number of entries
constexpr uint64_t kDtvEntry = 16;   // where the storage lies, and where its block begins
constexpr uint64_t kNoBlock = 4096;  // below lie flags and the mark of what was never used
constexpr uint64_t kMostEntries = 1 << 16;

// `entries_left`: of the vectors of all threads.
std::optional<EndedStorage> storage_of(const MemoryImage& image, Addr descriptor,
                                       uint64_t& entries_left) {
  const auto dtv = image.read_addr(descriptor + kDescriptorDtv);
  if (!dtv || dtv->value < kDtvHeader) return std::nullopt;
  EndedStorage storage;
  storage.vector = *dtv - kDtvHeader;
  const auto entries = image.read<uint64_t>(storage.vector);
  if (!entries || *entries > std::min(kMostEntries, entries_left)) return std::nullopt;
  entries_left -= *entries;
  storage.vector_bytes = (*entries + 2) * kDtvEntry;
  for (uint64_t i = 1; i <= *entries; ++i) {
    const Addr entry = *dtv + i * kDtvEntry;
    const uint64_t begin = image.read<uint64_t>(entry).value_or(0);
    const uint64_t block = image.read<uint64_t>(entry + 8).value_or(0);
    // Before 2.25 the second word was a flag, and the block began where the storage does.
    const Addr at(block >= kNoBlock ? block : begin);
    if (at.value >= kNoBlock) storage.blocks.push_back(at);
  }
  return storage;
}

}  // namespace

std::vector<EndedStorage> storage_of_ended_threads(const MemoryImage& image,
                                                   std::span<const ThreadArea> threads) {
  std::vector<EndedStorage> found;
  uint64_t entries_left = kMostEndedEntries;
  for (const ThreadArea& area : threads) {
    if (area.fate == ThreadArea::Fate::Live || area.descriptor.is_null()) continue;
    if (auto storage = storage_of(image, area.descriptor, entries_left))
      found.push_back(*std::move(storage));
  }
  return found;
}

}  // namespace heapscan

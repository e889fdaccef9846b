#include "runtime/ended_threads.h"

#include <algorithm>
#include <optional>

#include "runtime/thread_descriptor.h"

namespace heapscan {

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

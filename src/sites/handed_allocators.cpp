#include "sites/handed_allocators.h"

#include <algorithm>
#include <unordered_map>

#include "heapscan/base/bytes.h"

namespace heapscan {

namespace {

constexpr size_t kMostPlaces = 64;     // where pointers to such allocators lie
constexpr uint64_t kFarthest = 1024;   // bytes from the begin of a struct
constexpr size_t kMostCallers = 4096;  // functions, of one module
constexpr uint64_t kMostBytesRead = uint64_t{4} << 30;

template <typename F>
void for_each_word(const MemoryImage& image, F&& f) {
  uint64_t left = kMostBytesRead;
  for (const Region& region : image.regions()) {
    if (!region.perms.write) continue;
    image.for_each_span(region.range, [&](Addr begin, Bytes bytes) {
      const uint64_t skipped = -begin.value % 8;
      for (uint64_t at = skipped; at + 8 <= bytes.size() && left >= 8; at += 8, left -= 8) {
        f(begin + at, load<uint64_t>(bytes.data() + at));
      }
    });
  }
}

}  // namespace

HandedAllocators find_handed_allocators(const MemoryImage& image,
                                        const std::vector<AllocatorFunction>& allocators) {
  std::unordered_map<uint64_t, uint32_t> wanted;
  uint64_t lowest = ~uint64_t{0};
  uint64_t highest = 0;
  for (uint32_t i = 0; i < allocators.size(); ++i) {
    const AllocatorFunction& a = allocators[i];
    if (a.inner.is_null() || a.is_maker || a.size_parameter < 1) continue;
    wanted.emplace(a.function.value, i);
    lowest = std::min(lowest, a.function.value);
    highest = std::max(highest, a.function.value);
  }
  HandedAllocators handed;
  if (wanted.empty()) return handed;
  std::vector<std::pair<uint64_t, uint32_t>> places;
  for_each_word(image, [&](Addr at, uint64_t word) {
    if (word < lowest || word > highest || places.size() >= kMostPlaces) return;
    const auto allocator = wanted.find(word);
    if (allocator == wanted.end() || image.module_at(at) != nullptr) return;
    places.emplace_back(at.value, allocator->second);
  });
  if (places.empty()) return handed;
  std::sort(places.begin(), places.end());
  const uint64_t first = places.front().first - kFarthest;
  for_each_word(image, [&](Addr, uint64_t word) {
    if (word < first || word > places.back().first) return;
    auto place = std::lower_bound(places.begin(), places.end(), std::pair(word, 0U));
    for (; place != places.end() && place->first - word <= kFarthest; ++place) {
      if ((place->first - word) % 8 != 0) continue;
      handed.emplace(static_cast<int64_t>(place->first - word), place->second);
    }
  });
  return handed;
}

std::vector<AddrRange> functions_that_call_through(const ModuleCode& code,
                                                   const HandedAllocators& handed) {
  std::vector<AddrRange> functions;
  for (const ModuleCode::Span& span : code.spans) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(span.bytes.data());
    for (size_t i = 0; i + 8 <= span.bytes.size() && functions.size() < kMostCallers; ++i) {
      // call [register + displacement] (Intel SDM, FF /2)
      if (bytes[i] != 0xff || (bytes[i + 1] & 0x38) != 0x10) continue;
      const uint8_t mode = bytes[i + 1] >> 6;
      const uint8_t base = bytes[i + 1] & 7;
      if (mode == 3 || (mode == 0 && base == 5)) continue;
      size_t at = i + 2;
      if (base == 4 && (bytes[at++] & 0x38) != 0x20) continue;  // with an index
      int64_t displacement = 0;
      if (mode == 1) displacement = static_cast<int8_t>(bytes[at]);
      if (mode == 2) {
        if (at + 4 > span.bytes.size()) continue;
        displacement = load<int32_t>(span.bytes.data() + at);
      }
      if (handed.count(displacement) == 0) continue;
      const AddrRange function = code.function_at(span.begin + i);
      if (!function.empty()) functions.push_back(function);
    }
  }
  std::sort(functions.begin(), functions.end());
  functions.erase(std::unique(functions.begin(), functions.end()), functions.end());
  return functions;
}

}  // namespace heapscan

// Pointers to allocators are looked for in all memory that was written, then pointers to what such a
// pointer may be a member of. Both passes ask a small table of bits first, for nearly all words are
// something else.
#include "sites/handed_allocators.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <memory>
#include <unordered_map>

#include "heapscan/base/bytes.h"
#include "heapscan/base/hash.h"

namespace heapscan {

namespace {

constexpr size_t kMostPlaces = 64;     // where pointers to such allocators lie, of each kind
constexpr uint64_t kFarthest = 1024;   // bytes from the begin of a struct
constexpr size_t kMostCallers = 4096;  // functions, of one module
constexpr uint64_t kMostBytesRead = uint64_t{4} << 30;

// Whether a number may be one of some: never wrong about those.
class MayBe {
 public:
  MayBe() : bits_(std::make_unique<std::bitset<kBits>>()) {}
  void add(uint64_t number) { bits_->set(mix(number) % kBits); }
  [[nodiscard]] bool has(uint64_t number) const { return bits_->test(mix(number) % kBits); }

 private:
  static constexpr size_t kBits = size_t{1} << 16;
  std::unique_ptr<std::bitset<kBits>> bits_;
};

// Whether the loader or the program wrote there, also what was made read-only behind the loader; but for
// stacks, where words are left over that no struct has.
bool may_hold_structs(const MemoryImage& image, const Region& region) {
  const bool is_stack =
      std::any_of(image.threads().begin(), image.threads().end(), [&](const Thread& thread) {
        return thread.has_registers && region.range.contains(Addr(thread.reg(Register::Rsp)));
      });
  if (is_stack) return false;
  if (region.perms.write) return true;
  if (region.perms.execute || !region.module.valid()) return false;
  const std::vector<ModuleSegment>& segments = image.modules()[region.module].segments;
  return std::any_of(segments.begin(), segments.end(), [&](const ModuleSegment& segment) {
    return segment.writable && segment.range.overlaps(region.range);
  });
}

template <typename F>
void for_each_word(const MemoryImage& image, F&& f) {
  uint64_t left = kMostBytesRead;
  for (const Region& region : image.regions()) {
    if (!may_hold_structs(image, region)) continue;
    image.for_each_span(region.range, [&](Addr begin, Bytes bytes) {
      const uint64_t skipped = -begin.value % 8;
      for (uint64_t at = skipped; at + 8 <= bytes.size() && left >= 8; at += 8, left -= 8) {
        f(begin + at, load<uint64_t>(bytes.data() + at));
      }
    });
  }
}

// A pointer to an allocator.
struct AllocatorPointer {
  uint64_t at = 0;
  uint32_t allocator = 0;
  Addr module;  // where that begins in whose data it lies; null: in none
  bool operator<(const AllocatorPointer& other) const { return at < other.at; }
};

bool may_be_handed(const AllocatorFunction& a) {
  if (a.is_maker || a.size_parameter < 0 || a.result_parameter >= 0) return false;
  return !a.inner.is_null() || a.name == "malloc";
}

std::vector<AllocatorPointer> find_pointers(const MemoryImage& image,
                                            const std::vector<AllocatorFunction>& allocators,
                                            const std::function<bool(Addr)>& is_slot) {
  std::unordered_map<uint64_t, uint32_t> wanted;
  MayBe may_be_wanted;
  uint64_t lowest = ~uint64_t{0};
  uint64_t highest = 0;
  for (uint32_t i = 0; i < allocators.size(); ++i) {
    if (!may_be_handed(allocators[i])) continue;
    wanted.emplace(allocators[i].function.value, i);
    may_be_wanted.add(allocators[i].function.value);
    lowest = std::min(lowest, allocators[i].function.value);
    highest = std::max(highest, allocators[i].function.value);
  }
  std::vector<AllocatorPointer> places;
  if (wanted.empty()) return places;
  std::array<size_t, 3> counts{};  // of the C library's, of wrappers, of those in a module's data
  for_each_word(image, [&](Addr at, uint64_t word) {
    if (word < lowest || word > highest || !may_be_wanted.has(word)) return;
    const auto allocator = wanted.find(word);
    if (allocator == wanted.end()) return;
    const Module* const in = image.module_at(at);
    const bool is_wrapper = !allocators[allocator->second].inner.is_null();
    // What a module's data hold of others, and what instructions refer to, are slots.
    if (in != nullptr && (!is_wrapper || image.module_at(Addr(word)) != in || is_slot(at))) return;
    if (++counts[in != nullptr ? 2 : is_wrapper ? 1 : 0] > kMostPlaces) return;
    places.push_back({at.value, allocator->second, in != nullptr ? in->range.begin() : Addr()});
  });
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace

std::optional<uint32_t> HandedAllocators::at(Addr module, int64_t offset) const {
  if (const auto own = within.find({module, offset}); own != within.end()) return own->second;
  const auto any = anywhere.find(offset);
  return any == anywhere.end() ? std::nullopt : std::optional(any->second);
}

HandedAllocators find_handed_allocators(const MemoryImage& image,
                                        const std::vector<AllocatorFunction>& allocators,
                                        const std::function<bool(Addr)>& is_slot) {
  HandedAllocators handed;
  const std::vector<AllocatorPointer> places = find_pointers(image, allocators, is_slot);
  if (places.empty()) return handed;
  const uint64_t first = places.front().at - kFarthest;
  MayBe may_be_near;
  for (const AllocatorPointer& place : places) {
    for (uint64_t at = 0; at <= kFarthest; at += 8) may_be_near.add(place.at - at);
  }
  for_each_word(image, [&](Addr, uint64_t word) {
    if (word < first || word > places.back().at || !may_be_near.has(word)) return;
    auto place = std::lower_bound(places.begin(), places.end(), AllocatorPointer{word, 0, Addr()});
    for (; place != places.end() && place->at - word <= kFarthest; ++place) {
      if ((place->at - word) % 8 != 0) continue;
      const auto offset = static_cast<int64_t>(place->at - word);
      if (place->module.is_null()) {
        handed.anywhere.emplace(offset, place->allocator);
      } else {
        handed.within.emplace(std::pair(place->module, offset), place->allocator);
      }
    }
  });
  return handed;
}

bool may_be_asked_of_handed(const Value& value, bool has_context) {
  constexpr int64_t kSmallestStruct = 8;
  constexpr int64_t kLargestStruct = 1 << 20;  // below where programs lie
  switch (value.of) {
    case Value::Of::Number:
      return value.offset >= kSmallestStruct && value.offset < kLargestStruct;
    case Value::Of::Parameter:
      return has_context || value.scale >= kSmallestStruct;
    case Value::Of::Opaque:
      return value.scale >= kSmallestStruct;
    case Value::Of::Length:
      return true;
    default:
      return false;
  }
}

std::vector<AddrRange> functions_that_call_through(const ModuleCode& code, Addr module,
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
      if (!handed.at(module, displacement)) continue;
      const AddrRange function = code.function_at(span.begin + i);
      const bool is_again = !functions.empty() && functions.back().begin() == function.begin();
      if (!function.empty() && !is_again) functions.push_back(function);
    }
  }
  std::sort(functions.begin(), functions.end());
  functions.erase(std::unique(functions.begin(), functions.end()), functions.end());
  return functions;
}

}  // namespace heapscan

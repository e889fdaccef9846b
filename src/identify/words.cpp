// A word is judged by its value first (most are zero or small), then by where it would point. Heap
// addresses are the most frequent pointers, and the block index answers for them in constant time;
// everything else is looked up in one sorted table of places.
#include "heapscan/identify/words.h"
#include "identify/known_values.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>

namespace heapscan {

namespace {

constexpr uint64_t kLowestAddress = 0x10000;  // vm.mmap_min_addr, as Linux and distributions set it
constexpr uint64_t kAddressLimit = uint64_t{1} << 47;  // of programs on x86-64
constexpr uint64_t kSmall = 65536;  // below every address, and what counters and sizes mostly are
constexpr int kShortestText = 4;    // characters; fewer are as well a number below 2^24
// What people measure and compute, from a micro of something to a tera: 60 of a double's 2,048
// exponents.
constexpr double kSmallestFloat = 1e-6;
constexpr double kLargestFloat = 1e12;

bool is_text(uint64_t word) {
  const int bytes = 8 - std::countl_zero(word) / 8;  // that are not zero behind the last
  if (bytes < kShortestText) return false;
  // Most words are none: the first byte that is no such character says so, but for a line's end.
  const uint64_t others = ~characters_in(word) & kEightCharacters >> (64 - 8 * bytes);
  if (others == 0) return true;
  if (!is_printable(word >> std::countr_zero(others) / 8 * 8 & 0xff)) return false;
  int length = 0;
  while (length < 8 && is_printable(word & 0xff)) {
    word >>= 8;
    ++length;
  }
  return length >= kShortestText && word == 0;
}

bool is_wide_text(uint64_t word) {
  if ((word & 0xff00ff00ff00ff00) != 0) return false;
  int length = 0;
  while (length < 4 && word != 0 && is_printable(word & 0xff)) {
    word >>= 16;
    ++length;
  }
  return length >= 2 && word == 0;
}

bool is_small_half(uint64_t half) { return half < kSmall || half >= 0x100000000 - kSmall; }

bool is_float(uint64_t word) {
  const double value = std::abs(std::bit_cast<double>(word));
  return value >= kSmallestFloat && value <= kLargestFloat;
}

// A clock that counts finer than seconds seldom stops at a round binary number; fields side by side
// in one word do.
bool is_packed(uint64_t word) { return (word & 0xffff) == 0 || (word & 0xffffffff) < kSmall; }

bool is_time(uint64_t word) {
  constexpr uint64_t kFinest = 1'000'000'000;  // of a second
  if (word < kFirstSecond || word > kLastSecond * kFinest) return false;
  if (word > kLastSecond && is_packed(word)) return false;
  for (uint64_t unit = 1; unit <= kFinest; unit *= 1000) {
    if (word <= kLastSecond * unit) return word >= kFirstSecond * unit;
  }
  return false;
}

WordKind kind_of_value(uint64_t word) {
  if (is_text(word)) return WordKind::Text;
  if (is_wide_text(word)) return WordKind::WideText;
  if (is_small_half(word & 0xffffffff) && is_small_half(word >> 32))
    return word >> 32 == 0 ? WordKind::Negative : WordKind::Pair;
  if (is_time(word)) return WordKind::Time;
  if (is_float(word)) return WordKind::Float;
  const bool short_above = word >> 48 == 0;
  const bool short_below = (word & 0xffff) == 0;
  return short_above || short_below ? WordKind::Number : WordKind::Random;
}

}  // namespace

std::string_view name_of(WordKind kind) {
  static constexpr std::array<std::string_view, kWordKinds> kNames = {
      "zero",   "small integer", "negative",       "pair of integers",
      "text",   "wide text",     "code",           "constant data",
      "data",   "block",         "inside a block", "free block",
      "stack",  "other memory",  "float",          "time",
      "number", "any value"};
  return kNames[static_cast<size_t>(kind)];
}

size_t wide_text_length(Bytes bytes, size_t step) {
  constexpr size_t kFewest = 6;  // characters: a row of small numbers is as long now and then
  size_t length = 0;
  size_t letters = 0;
  for (; (length + 1) * step <= bytes.size(); ++length) {
    const Bytes character = bytes.subspan(length * step, step);
    const auto low = static_cast<uint8_t>(character[0]);
    const bool is_ascii =
        is_printable(low) && std::all_of(character.begin() + 1, character.end(),
                                         [](std::byte b) { return b == std::byte{0}; });
    if (!is_ascii) break;
    letters += low == ' ' || std::isalpha(low) != 0 ? 1 : 0;
  }
  return length >= kFewest && letters * 3 >= length * 2 ? length : 0;
}

AddressMap::AddressMap(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap)
    : runtime_(runtime), heap_(heap) {
  std::vector<Place> layers;  // later ones cover earlier ones
  const auto add = [&](AddrRange range, WordKind kind) {
    if (!range.empty()) layers.push_back({range.begin().value, range.end().value, kind});
  };
  for (const Region& region : image.regions()) add(region.range, WordKind::Mapped);
  for (const Module& module : image.modules()) {
    for (const ModuleSegment& segment : module.segments) {
      add(segment.range, segment.executable ? WordKind::Code
                         : segment.writable ? WordKind::Data
                                            : WordKind::Constant);
    }
  }
  // What the loader made read-only once it had relocated it.
  for (const Region& region : image.regions()) {
    if (region.module.valid() && !region.perms.write && !region.perms.execute)
      add(region.range, WordKind::Constant);
  }
  for (const ThreadArea& area : runtime.threads) {
    add(area.stack, WordKind::Stack);
    add(area.static_tls, WordKind::Stack);
    if (!area.descriptor.is_null())
      add(AddrRange::sized(area.descriptor, area.descriptor_size), WordKind::Stack);
  }
  for (const AddrRange& range : heap.allocator_state) add(range, WordKind::FreeBlock);
  places_ = visible_parts(layers);
}

WordKind AddressMap::kind_of(uint64_t word) const {
  if (word >= kLowestAddress && word < kAddressLimit) {
    const BlockId id = block_meant_by(word);
    if (id.valid()) return kind_of_block_at(id, word);
  }
  return kind_outside_blocks(word);
}

WordKind AddressMap::kind_outside_blocks(uint64_t word) const {
  if (word == 0) return WordKind::Zero;
  if (word < kSmall) return WordKind::Small;
  if (word >= ~uint64_t{0} - (kSmall - 1)) return WordKind::Negative;
  if (word >= kLowestAddress && word < kAddressLimit) {
    const WordKind kind = place_of(word);
    if (kind != WordKind::Random) return kind;
  }
  return kind_of_value(word);
}

BlockId AddressMap::block_meant_by(uint64_t word) const {
  const uint32_t number = heap_.index.range_at(word);
  if (number == BlockIndex::kNoRange) return BlockId::none();
  const BlockId id = heap_.index.block_before(heap_.index.ranges()[number], word);
  if (!id.valid()) return id;
  const AddrRange block = heap_.block(id).range();
  return word <= block.end().value ? id : BlockId::none();
}

int AddressMap::thread_of(Addr address) const {
  for (const ThreadArea& area : runtime_.threads) {
    const bool inside = area.stack.contains(address) || area.static_tls.contains(address) ||
                        AddrRange::sized(area.descriptor, area.descriptor_size).contains(address);
    if (inside) return area.tid;
  }
  return 0;
}

WordKind AddressMap::kind_of_block_at(BlockId id, uint64_t word) const {
  const Block& block = heap_.block(id);
  if (!block.is_judged()) return WordKind::FreeBlock;
  return block.begin().value == word ? WordKind::BlockStart : WordKind::BlockInterior;
}

WordKind AddressMap::place_of(uint64_t word) const {
  if (places_.empty() || word < places_.front().begin || word >= places_.back().end)
    return WordKind::Random;
  const auto after =
      std::upper_bound(places_.begin(), places_.end(), word,
                       [](uint64_t a, const Place& place) { return a < place.begin; });
  if (after == places_.begin() || word >= std::prev(after)->end) return WordKind::Random;
  return std::prev(after)->kind;
}

// Cuts the layers' ranges at each other's ends and keeps what the last layer shows of each piece.
std::vector<AddressMap::Place> AddressMap::visible_parts(const std::vector<Place>& layers) {
  std::vector<uint64_t> cuts;
  for (const Place& place : layers) cuts.insert(cuts.end(), {place.begin, place.end});
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  const auto cut_at = [&](uint64_t address) {
    return static_cast<size_t>(std::lower_bound(cuts.begin(), cuts.end(), address) - cuts.begin());
  };
  constexpr WordKind kNothing = WordKind::Zero;
  std::vector<WordKind> shown(cuts.size(), kNothing);
  for (const Place& place : layers) {
    for (size_t i = cut_at(place.begin); i < cut_at(place.end); ++i) shown[i] = place.kind;
  }
  std::vector<Place> parts;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    if (shown[i] == kNothing) continue;
    if (!parts.empty() && parts.back().end == cuts[i] && parts.back().kind == shown[i]) {
      parts.back().end = cuts[i + 1];
    } else {
      parts.push_back({cuts[i], cuts[i + 1], shown[i]});
    }
  }
  return parts;
}

}  // namespace heapscan

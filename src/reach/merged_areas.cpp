// The spacing is looked for first: that takes a few words of each page of the areas that come into
// question. Only if there is one, the live memory is searched for words that lead into such an area.
#include "heapscan/reach/merged_areas.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>

#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_memory.h"

namespace heapscan {

namespace {

// Bytes: what is lost in smaller ones is not worth a line.
constexpr uint64_t kSmallestArea = uint64_t{1} << 20;
constexpr uint64_t kShortestPeriod = 4;  // pages; arrays of records begin alike page by page
constexpr uint64_t kFewestParts = 8;
constexpr size_t kFewestPlaces = 3;  // two may be the beginning and a cursor
constexpr uint64_t kMostPages = 1 << 20;
constexpr size_t kMostPlaces = 1 << 16;  // of one area; beyond them it is in use all over
constexpr size_t kWordsCompared = 4;     // at the beginning of a page
constexpr size_t kValuesTried = 4;
constexpr size_t kBlocksPerSearch = 4096;

struct Area {
  BlockId mapping;
  AddrRange range;
  uint64_t period = 0;
  uint64_t phase = 0;            // bytes in front of the first part
  std::vector<uint64_t> places;  // offsets that words outside lead to
  bool has_too_many = false;

  [[nodiscard]] uint64_t parts() const { return (range.size() - phase + period - 1) / period; }
  // Of an offset; nothing in front of the first part.
  [[nodiscard]] std::optional<uint64_t> part_of(uint64_t offset) const {
    if (offset < phase) return std::nullopt;
    return (offset - phase) / period;
  }
  [[nodiscard]] AddrRange part(uint64_t number) const {
    const Addr begin = range.begin() + phase + number * period;
    return AddrRange(begin, std::min(begin + period, range.end()));
  }
};

// Pages by a word at their beginning that is not zero.
std::map<uint64_t, std::vector<uint64_t>> pages_by_word(const MemoryImage& image, AddrRange range,
                                                        size_t word) {
  std::map<uint64_t, std::vector<uint64_t>> pages;
  for (uint64_t page = 0; page < range.size() / kPage; ++page) {
    const auto value = image.read<uint64_t>(range.begin() + page * kPage + 8 * word);
    if (value && *value != 0) pages[*value].push_back(page);
  }
  return pages;
}

// The spacing of `pages` if that says something: of the places of that spacing most are among them.
std::optional<uint64_t> spacing_of(const std::vector<uint64_t>& pages, uint64_t all_pages) {
  uint64_t period = 0;
  for (size_t i = 1; i < pages.size(); ++i) period = std::gcd(period, pages[i] - pages[i - 1]);
  if (period < kShortestPeriod) return std::nullopt;
  const uint64_t places = (all_pages - pages.front() % period + period - 1) / period;
  if (places < kFewestParts || 2 * pages.size() < places) return std::nullopt;
  return period;
}

bool find_period(const MemoryImage& image, Area& area) {
  const uint64_t all_pages = area.range.size() / kPage;
  if (all_pages > kMostPages) return false;
  for (size_t word = 0; word < kWordsCompared; ++word) {
    auto pages = pages_by_word(image, area.range, word);
    std::vector<const std::vector<uint64_t>*> most;
    for (const auto& [value, where] : pages) most.push_back(&where);
    std::stable_sort(most.begin(), most.end(),
                     [](const auto* a, const auto* b) { return a->size() > b->size(); });
    for (size_t i = 0; i < std::min(most.size(), kValuesTried); ++i) {
      const auto period = spacing_of(*most[i], all_pages);
      if (!period) continue;
      area.period = *period * kPage;
      area.phase = most[i]->front() % *period * kPage;
      return true;
    }
  }
  return false;
}

bool is_held(Verdict verdict) {
  return verdict == Verdict::Reachable || verdict == Verdict::Possible;
}

std::vector<Area> areas_in_question(const MemoryImage& image, const HeapModel& heap,
                                    const Reachability& reach) {
  std::vector<Area> areas;
  for (const BlockIndex::Range& range : heap.index.ranges()) {
    if (range.first_word != BlockIndex::kNoGrid || range.end - range.begin < kSmallestArea)
      continue;
    const BlockId id = heap.block_at(Addr(range.begin));
    if (!id.valid() || heap.block(id).state() != BlockState::Mapping) continue;
    if (!is_held(reach.verdict(id))) continue;
    const Region* const region = image.region_at(Addr(range.begin));
    if (region == nullptr || region->perms.shared || !region->perms.write) continue;
    Area area{id, heap.block(id).range(), 0, 0, {}, false};
    if (find_period(image, area)) areas.push_back(std::move(area));
  }
  return areas;
}

// Looks for words that lead into areas.
class PlaceSearch {
 public:
  PlaceSearch(const MemoryImage& image, const HeapModel& heap, const Reachability& reach,
              std::vector<Area>& areas)
      : image_(image), heap_(heap), reach_(reach), areas_(areas), memory_(image, heap) {}

  void run(const Roots& roots) {
    std::vector<Found> found;
    for (const RootWord& word : roots.words) look_at(word.value, found);
    take(found);
    parallel_for(roots.ranges.size(), [&](size_t i) {
      if (strength_of(roots.ranges[i].kind) == RootStrength::Diagnostic) return;
      std::vector<Found> here;
      image_.for_each_span(roots.ranges[i].range, [&](Addr begin, Bytes bytes) {
        const uint64_t skip = begin.align_up(8) - begin;
        if (skip < bytes.size()) look_through(bytes.subspan(skip), here);
      });
      take(here);
    });
    parallel_for_pieces(heap_.blocks.size(), kBlocksPerSearch, [&](size_t begin, size_t end) {
      std::vector<Found> here;
      for (size_t i = begin; i < end; ++i) look_into(BlockId(i), here);
      take(here);
    });
  }

 private:
  using Found = std::pair<size_t, uint64_t>;  // area, offset

  void look_at(uint64_t word, std::vector<Found>& found) const {
    if (word < areas_.front().range.begin().value || word >= areas_.back().range.end().value)
      return;
    const auto at = std::partition_point(areas_.begin(), areas_.end(), [&](const Area& area) {
      return area.range.end().value <= word;
    });
    if (at != areas_.end() && at->range.contains(Addr(word)))
      found.emplace_back(static_cast<size_t>(at - areas_.begin()), word - at->range.begin().value);
  }

  void look_through(Bytes bytes, std::vector<Found>& found) const {
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8)
      look_at(load<uint64_t>(bytes.data() + i), found);
  }

  void look_into(BlockId id, std::vector<Found>& found) const {
    const Block& block = heap_.block(id);
    if (!block.is_judged() || !is_held(reach_.verdict(id))) return;
    if (std::any_of(areas_.begin(), areas_.end(), [&](const Area& a) { return a.mapping == id; }))
      return;
    const uint32_t range = heap_.index.range_at(block.begin().value);
    if (range == BlockIndex::kNoRange) return;
    memory_.for_each_span(range, block.range(),
                          [&](Addr, Bytes bytes) { look_through(bytes, found); });
  }

  // What the areas have at the end depends on no order.
  void take(std::vector<Found>& found) {
    if (found.empty()) return;
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    const std::lock_guard lock(mutex_);
    for (const auto& [number, offset] : found) {
      Area& area = areas_[number];
      if (area.has_too_many) continue;
      area.places.push_back(offset);
      if (area.places.size() < 2 * kMostPlaces) continue;
      std::sort(area.places.begin(), area.places.end());
      area.places.erase(std::unique(area.places.begin(), area.places.end()), area.places.end());
      area.has_too_many = area.places.size() > kMostPlaces;
    }
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  const Reachability& reach_;
  std::vector<Area>& areas_;
  const BlockMemory memory_;
  std::mutex mutex_;
};

bool holds_anything(const MemoryImage& image, AddrRange range) {
  bool found = false;
  image.for_each_span(range, [&](Addr, Bytes bytes) {
    found = found ||
            std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; });
  });
  return found;
}

// Marks every part that words in named parts lead to.
void follow(const MemoryImage& image, const Area& area, std::vector<bool>& is_named,
            std::vector<uint64_t> open) {
  while (!open.empty()) {
    const AddrRange part = area.part(open.back());
    open.pop_back();
    image.for_each_span(part, [&](Addr begin, Bytes bytes) {
      for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
        const Addr word(load<uint64_t>(bytes.data() + i));
        if (!area.range.contains(word)) continue;
        const auto to = area.part_of(word - area.range.begin());
        if (!to || is_named[*to]) continue;
        is_named[*to] = true;
        open.push_back(*to);
      }
    });
  }
}

std::optional<MergedArea> divide(const MemoryImage& image, Area& area) {
  if (area.has_too_many) return std::nullopt;
  std::sort(area.places.begin(), area.places.end());
  area.places.erase(std::unique(area.places.begin(), area.places.end()), area.places.end());
  std::vector<bool> is_named(area.parts());
  std::vector<uint64_t> open;
  size_t at_beginnings = 0;
  for (const uint64_t place : area.places) {
    const auto part = area.part_of(place);
    if (!part) continue;
    if ((place - area.phase) % area.period == 0) ++at_beginnings;
    if (is_named[*part]) continue;
    is_named[*part] = true;
    open.push_back(*part);
  }
  if (at_beginnings < kFewestPlaces || 4 * at_beginnings < 3 * open.size()) return std::nullopt;
  MergedArea merged;
  merged.mapping = area.mapping;
  merged.period = area.period;
  merged.first = area.range.begin() + area.phase;
  merged.places = open.size();
  follow(image, area, is_named, std::move(open));
  for (uint64_t part = 0; part < is_named.size(); ++part) {
    if (!holds_anything(image, area.part(part))) continue;
    ++merged.parts;
    if (is_named[part]) {
      ++merged.named;
    } else {
      merged.unnamed.push_back(area.part(part).begin());
      merged.unnamed_bytes += area.part(part).size();
    }
  }
  return merged.unnamed.empty() ? std::nullopt : std::optional(std::move(merged));
}

}  // namespace

std::vector<MergedArea> find_merged_areas(const MemoryImage& image, const HeapModel& heap,
                                          const Roots& roots, const Reachability& reach) {
  std::vector<MergedArea> merged;
  std::vector<Area> areas = areas_in_question(image, heap, reach);
  if (areas.empty()) return merged;
  PlaceSearch(image, heap, reach, areas).run(roots);
  for (Area& area : areas) {
    if (auto divided = divide(image, area)) merged.push_back(*std::move(divided));
  }
  return merged;
}

}  // namespace heapscan

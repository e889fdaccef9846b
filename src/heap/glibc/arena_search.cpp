// Distribution libraries are stripped, so the main arena is usually found by its shape: 127 list
// heads in a row, each of which, when empty, points 16 bytes before itself. Nothing else looks like
// that. From it, `next` leads through all arenas and back, which also tells how far the start of
// the structure lies before the list heads, and that is what tells the versions apart. Symbols,
// where there are any, only propose a place; it is held to the same shape. DWARF is asked when no
// version that we know makes a ring: reading it takes longer than everything else on a small heap. Where no module's
// data has an arena, a heap header (at a multiple of its size, pointing just behind itself) names
// one.
#include "heap/glibc/arenas.h"

#include <algorithm>
#include <unordered_set>

#include "heap/glibc/chunks.h"
#include "heapscan/base/text.h"

namespace heapscan::glibc {

namespace {

constexpr size_t kMostArenas = Block::kArenas;
constexpr size_t kMostPlaces = 64;      // in one module
constexpr size_t kMostFalseStarts =
    1000;  // likewise: empty list heads that turn out to be something else
constexpr uint64_t kHeapStep = uint64_t{8} << 20;  // heaps lie at multiples of this at least

// A run of list heads. Where one pair of them is being changed, or was overwritten, the run may
// seem to begin one pair further up or down: the ring decides.
struct Place {
  std::vector<Addr> bins;
  ModuleId module;
};

// Every run of list heads in [begin, begin + bytes.size()).
void find_bins(WordReader& reader, Addr begin, Bytes bytes, ModuleId module,
               std::vector<Place>& places) {
  if (bytes.size() < kBinBytes) return;
  const uint64_t first = begin.align_up(8).value - begin.value;
  size_t false_starts = 0;
  for (uint64_t offset = first; offset + kBinBytes <= bytes.size(); offset += 8) {
    const uint64_t slot = begin.value + offset;
    if (load<uint64_t>(bytes.data() + offset) != slot - kHeader) continue;
    if (load<uint64_t>(bytes.data() + offset + 8) != slot - kHeader) continue;
    Place place{{}, module};
    unsigned most = 0;
    for (uint64_t before = 0; before < kBins; ++before) {
      const Addr bins = Addr(slot) - before * kBinBytes;
      const BinsShape shape = shape_of_bins(reader, bins);
      if (!shape.is_arena()) {
        if (most != 0) break;
        continue;
      }
      if (shape.sound > most) {
        most = shape.sound;
        place.bins.clear();
      }
      if (shape.sound == most) place.bins.push_back(bins);
    }
    if (most == 0) {
      if (++false_starts >= kMostFalseStarts) return;
      continue;
    }
    offset = place.bins.front().value + kBins * kBinBytes - begin.value - 8;
    places.push_back(std::move(place));
    if (places.size() >= kMostPlaces) return;
  }
}

std::optional<ArenaLayout> layout_from_dwarf(const Symbols& symbols, ModuleId module) {
  if (!module.valid()) return std::nullopt;
  const auto layout = symbols.struct_layout(module, "malloc_state");
  if (!layout) return std::nullopt;
  const auto member = [&](std::string_view name) -> std::optional<uint64_t> {
    const auto found = layout->members.find(name);
    if (found == layout->members.end()) return std::nullopt;
    return found->second;
  };
  const auto bins = member("bins");
  if (!bins || member("top") != *bins - 0x10 ||
      member("next") != *bins + ArenaLayout::kNextFromBins) {
    return std::nullopt;
  }
  ArenaLayout result;
  result.versions = "from DWARF";
  result.bins = *bins;
  result.fastbins = member("fastbinsY").value_or(0);
  result.has_attached = member("attached_threads").has_value();
  result.size = layout->size;
  if (member("system_mem") != result.system_mem()) return std::nullopt;
  return result;
}

// Follows `next` from `start` with the bins at `layout`'s distance.
struct RingWalk {
  std::vector<Addr> states;
  bool closed = false;
};
RingWalk follow_ring(WordReader& reader, Addr start, const ArenaLayout& layout) {
  RingWalk walk;
  std::unordered_set<Addr> seen;
  for (Addr at = start; walk.states.size() < kMostArenas;) {
    if (!seen.insert(at).second) break;
    if (at != start && !shape_of_bins(reader, at + layout.bins).is_arena()) break;
    walk.states.push_back(at);
    const auto next = reader.word(at + layout.next());
    if (!next) break;
    if (*next == start.value) {
      walk.closed = true;
      break;
    }
    at = Addr(*next);
  }
  return walk;
}

// Heap headers: the first word names an arena, and the arena of a first heap lies directly behind
// the header.
std::vector<Addr> arenas_behind_heap_headers(WordReader& reader, const MemoryImage& image) {
  std::vector<Addr> found;
  for (const Region& region : image.regions()) {
    if (region.backing != Backing::Anonymous || region.contents != Contents::Saved ||
        region.perms.shared)
      continue;
    for (Addr at = region.range.begin().align_up(kHeapStep);
         region.range.contains(at) && found.size() < kMostArenas; at = at + kHeapStep) {
      const auto arena = reader.word(at);
      if (!arena) continue;
      for (const uint64_t header : heap_info_sizes()) {
        if (*arena == at.value + header) found.push_back(Addr(*arena));
      }
    }
  }
  return found;
}

// The row that fits the list heads at `place`, and the ring that follows from it. Where the ring is
// broken, the arenas that heap headers name tell how far an arena's start lies before its list
// heads. Of a ring that `must_close` nothing more is asked when it does not.
Ring ring_from_bins(WordReader& reader, const Place& place, const Symbols& symbols,
                    bool must_close) {
  Ring best;
  best.module = place.module;
  const auto consider = [&](Addr bins, const ArenaLayout& layout, LayoutSource source) {
    const Addr start = bins - layout.bins;
    RingWalk walk = follow_ring(reader, start, layout);
    if (walk.states.empty()) return;
    const auto value = [](bool closed, size_t count) { return (closed ? kMostArenas : 0) + count; };
    if (!best.states.empty() &&
        value(walk.closed, walk.states.size()) <= value(best.is_closed, best.states.size()))
      return;
    best.layout = layout;
    best.source = source;
    best.main = start;
    best.states = std::move(walk.states);
    best.is_closed = walk.closed;
  };
  const auto consider_table = [&] {
    for (const Addr bins : place.bins) {
      const bool attached = has_attached_threads(reader, bins);
      for (const ArenaLayout& row : arena_layouts()) {
        if (row.has_attached == attached) consider(bins, row, LayoutSource::Table);
      }
    }
  };
  consider_table();
  if (best.is_closed || must_close) return best;
  if (const auto dwarf = layout_from_dwarf(symbols, place.module)) {
    best = Ring();
    best.module = place.module;
    for (const Addr bins : place.bins) consider(bins, *dwarf, LayoutSource::Dwarf);
    consider_table();
  }
  if (best.is_closed || best.states.empty() || best.source == LayoutSource::Dwarf) return best;
  const std::vector<Addr> others = arenas_behind_heap_headers(reader, reader.image());
  const Addr bins = best.main + best.layout.bins;
  size_t most = 0;
  for (const ArenaLayout& row : arena_layouts()) {
    const auto votes =
        static_cast<size_t>(std::count_if(others.begin(), others.end(), [&](Addr state) {
          return shape_of_bins(reader, state + row.bins).is_arena();
        }));
    if (votes <= most || row.has_attached != has_attached_threads(reader, bins)) continue;
    most = votes;
    best.layout = row;
    best.main = bins - row.bins;
    best.states = {best.main};
  }
  return best;
}

bool is_heap_arena(WordReader& reader, Addr state) {
  for (const uint64_t header : heap_info_sizes()) {
    const Addr heap = state - header;
    if (heap.is_aligned(kHeapStep) && reader.word(heap) == state.value) return true;
  }
  return false;
}

bool overlaps_known(const std::vector<Ring>& rings, const Ring& ring) {
  const AddrRange main = AddrRange::sized(ring.main, ring.layout.size);
  return std::any_of(rings.begin(), rings.end(), [&](const Ring& known) {
    return AddrRange::sized(known.main, known.layout.size).overlaps(main) ||
           std::find(known.states.begin(), known.states.end(), ring.main) != known.states.end();
  });
}

// Arenas that no ring names yet: just made, or cut off by damage. They join the ring they point
// into, or become one.
void add_unlisted_arenas(WordReader& reader, const MemoryImage& image, std::vector<Ring>& rings) {
  std::unordered_set<Addr> known;
  for (const Ring& ring : rings) known.insert(ring.states.begin(), ring.states.end());
  for (const Addr state : arenas_behind_heap_headers(reader, image)) {
    if (known.contains(state)) continue;
    Ring* home = nullptr;
    for (Ring& ring : rings) {
      if (!shape_of_bins(reader, state + ring.layout.bins).is_arena()) continue;
      const auto next = reader.word(state + ring.layout.next());
      if (!next) continue;
      const bool into_ring =
          std::find(ring.states.begin(), ring.states.end(), Addr(*next)) != ring.states.end();
      if (*next == 0 || into_ring) home = &ring;
    }
    if (home == nullptr && rings.size() == 1 &&
        shape_of_bins(reader, state + rings.front().layout.bins).is_arena()) {
      home = &rings.front();
    }
    if (home != nullptr) {
      home->states.push_back(state);
      known.insert(state);
      continue;
    }
    for (const ArenaLayout& row : arena_layouts()) {
      if (!shape_of_bins(reader, state + row.bins).is_arena()) continue;
      Ring ring;
      ring.layout = row;
      ring.source = LayoutSource::Table;
      RingWalk walk = follow_ring(reader, state, row);
      ring.is_closed = walk.closed;
      ring.states = std::move(walk.states);
      ring.found_by = "a heap header that points to its arena";
      const auto main = std::find_if(ring.states.begin(), ring.states.end(),
                                     [&](Addr a) { return !is_heap_arena(reader, a); });
      if (main != ring.states.end()) {
        ring.main = *main;
        std::rotate(ring.states.begin(), main, ring.states.end());
      }
      known.insert(ring.states.begin(), ring.states.end());
      rings.push_back(std::move(ring));
      break;
    }
    if (known.size() >= kMostArenas) break;
  }
}

// Up to 2.41 an unused main arena is all zero but for `next`, which names the arena itself.
std::optional<Ring> unused_arena_in(const MemoryImage& image, ModuleId module, AddrRange range) {
  std::optional<Ring> ring;
  image.for_each_span(range, [&](Addr begin, Bytes bytes) {
    const uint64_t first = begin.align_up(8).value - begin.value;
    for (uint64_t offset = first; !ring && offset + 8 <= bytes.size(); offset += 8) {
      const uint64_t here = begin.value + offset;
      const uint64_t word = load<uint64_t>(bytes.data() + offset);
      for (const ArenaLayout& row : arena_layouts()) {
        if (word == 0 || word + row.next() != here || offset < row.next()) continue;
        const Bytes before = bytes.subspan(offset - row.next(), row.next());
        if (!std::all_of(before.begin(), before.end(),
                         [](std::byte b) { return b == std::byte{0}; }))
          continue;
        ring.emplace();
        ring->module = module;
        ring->layout = row;
        ring->source = LayoutSource::Table;
        ring->main = Addr(word);
        ring->states = {ring->main};
        ring->is_closed = ring->is_unused = true;
        break;
      }
    }
  });
  return ring;
}

// What comes before the bins: `top` is set as soon as malloc has been called.
bool is_untouched(WordReader& reader, Addr arena) {
  constexpr size_t kWords = 64;
  for (size_t i = 0; i < kWords; ++i) {
    if (reader.word(arena + 8 * i) != uint64_t{0}) return false;
  }
  return true;
}

std::string named(const MemoryImage& image, ModuleId module) {
  return module.valid() ? std::string(image.modules()[module].file_name())
                        : std::string("the program");
}

}  // namespace

PairShape shape_of_pair(WordReader& reader, Addr bins, size_t index) {
  const Addr header(bin_header(bins.value, index + 1));
  const auto fd = reader.word(header + 0x10);
  const auto bk = reader.word(header + 0x18);
  if (!fd || !bk) return PairShape::Unreadable;
  if (*fd == header.value && *bk == header.value) return PairShape::Empty;
  if (*fd % kAlignment != 0 || *bk % kAlignment != 0 || *fd == 0 || *bk == 0)
    return PairShape::Broken;
  const auto back = reader.word(Addr(*fd) + 0x18);
  const auto forth = reader.word(Addr(*bk) + 0x10);
  if (back && *back != header.value) return PairShape::Broken;
  if (forth && *forth != header.value) return PairShape::Broken;
  if (back && forth) return PairShape::Linked;
  // Not saved is not wrong, but where nothing is mapped at all no chunk can be.
  const MemoryImage& image = reader.image();
  return image.region_at(Addr(*fd)) != nullptr && image.region_at(Addr(*bk)) != nullptr
             ? PairShape::Unreadable
             : PairShape::Broken;
}

BinsShape shape_of_bins(WordReader& reader, Addr bins) {
  BinsShape shape;
  for (size_t i = 0; i < kBins; ++i) {
    switch (shape_of_pair(reader, bins, i)) {
      case PairShape::Empty:
      case PairShape::Linked:
        ++shape.sound;
        break;
      case PairShape::Unreadable:
        ++shape.unreadable;
        break;
      case PairShape::Broken:
        ++shape.broken;
        break;
    }
    if (shape.broken > kBins - 100) break;
  }
  return shape;
}

std::optional<ArenaFields> read_arena(WordReader& reader, Addr state, const ArenaLayout& layout) {
  const auto mutex = reader.half(state + ArenaLayout::kMutex);
  const auto flags = reader.half(state + ArenaLayout::kFlags);
  const auto top = reader.word(state + layout.top());
  const auto next = reader.word(state + layout.next());
  const auto system_mem = reader.word(state + layout.system_mem());
  if (!mutex || !flags || !top || !next || !system_mem) return std::nullopt;
  ArenaFields fields;
  fields.locked = *mutex != 0;
  fields.flags = *flags;
  const bool never_used = *top == state.value + layout.bins - kHeader;
  fields.top = never_used ? Addr() : Addr(*top);
  fields.next = Addr(*next);
  fields.system_mem = *system_mem;
  return fields;
}

bool has_attached_threads(WordReader& reader, Addr bins) {
  const auto attached = reader.word(bins + 0x810);
  const auto system_mem = reader.word(bins + 0x818);
  const auto max_system_mem = reader.word(bins + 0x820);
  if (!attached || !system_mem || !max_system_mem) return true;
  // Without the field these two are system_mem (a page at least, once used) and its high-water
  // mark.
  const bool without = *attached >= kPage && *attached <= *system_mem;
  return !without ||
         (*attached < (uint64_t{1} << 20) && *system_mem != 0 && *system_mem <= *max_system_mem &&
          *system_mem % kPage == 0 && *max_system_mem % kPage == 0);
}

std::vector<Ring> find_rings(const MemoryImage& image, const Symbols& symbols, ModuleId in_charge,
                             Notes& notes) {
  WordReader reader(image);
  std::vector<Ring> rings;
  std::vector<ModuleId> order;
  if (in_charge.valid() && in_charge.index() < image.modules().size()) order.push_back(in_charge);
  for (size_t m = 0; m < image.modules().size(); ++m) {
    if (ModuleId(m) != in_charge) order.push_back(ModuleId(m));
  }

  const auto add = [&](const Place& place, const std::string& how, bool must_close = false) {
    if (!shape_of_bins(reader, place.bins.front()).is_arena()) return false;
    Ring ring = ring_from_bins(reader, place, symbols, must_close);
    if (ring.states.empty() || overlaps_known(rings, ring) || (must_close && !ring.is_closed))
      return false;
    ring.found_by = how;
    rings.push_back(std::move(ring));
    return true;
  };

  for (const ModuleId module : order) {
    const std::string name = named(image, module);
    if (const auto symbol = symbols.address_of(module, "main_arena")) {
      bool found = false;
      // Where another version has its bins there are some of this one's too: what tells them apart
      // is the ring.
      for (const bool must_close : {true, false}) {
        for (const ArenaLayout& row : arena_layouts()) {
          if (!found)
            found = add({{*symbol + row.bins}, module}, "symbol main_arena of " + name, must_close);
        }
        if (found || !must_close || is_untouched(reader, *symbol)) continue;
        if (const auto dwarf = layout_from_dwarf(symbols, module))
          found = add({{*symbol + dwarf->bins}, module}, "symbol and DWARF of " + name);
      }
    }
    std::vector<Place> places;
    for (const ModuleSegment& segment : image.modules()[module].segments) {
      if (!segment.writable) continue;
      const AddrRange pages(segment.range.begin().align_down(kPage),
                            segment.range.end().align_up(kPage));
      image.for_each_span(
          pages, [&](Addr begin, Bytes bytes) { find_bins(reader, begin, bytes, module, places); });
    }
    for (const Place& place : places) add(place, "shape of the bins in " + name);
  }
  if (rings.empty()) {
    // Modules may be unknown: a core without a single readable file. Then any private file mapping
    // will do, and what follows it without a gap, which is where its .bss lies.
    std::vector<Place> places;
    for (const Region& region : image.regions()) {
      if (!region.perms.write || region.perms.shared || region.backing != Backing::File) continue;
      const Region* const tail = image.region_at(region.range.end());
      const bool has_tail = tail != nullptr && tail->backing == Backing::Anonymous;
      const AddrRange range(region.range.begin(),
                            has_tail ? tail->range.end() : region.range.end());
      image.for_each_span(range, [&](Addr begin, Bytes bytes) {
        find_bins(reader, begin, bytes, region.module, places);
      });
    }
    for (const Place& place : places) add(place, "shape of the bins in a mapped file");
  }
  // An arena whose first heap lies behind a heap header was met in the ring of its main arena, or
  // will be.
  add_unlisted_arenas(reader, image, rings);
  if (rings.empty()) {
    for (const ModuleId module : order) {
      for (const ModuleSegment& segment : image.modules()[module].segments) {
        if (!segment.writable) continue;
        auto unused = unused_arena_in(image, module, segment.range);
        if (!unused) continue;
        unused->found_by = "initial state of the main arena in " + named(image, module);
        rings.push_back(std::move(*unused));
        return rings;
      }
    }
  }
  for (const Ring& ring : rings) {
    if (ring.is_closed) continue;
    notes.push_back({NoteKind::Allocator, hex(ring.main),
                     "the ring of arenas does not lead back to its start; arenas were also looked "
                     "for by their heaps"});
  }
  return rings;
}

}  // namespace heapscan::glibc

// A main arena that grew by brk alone is one stretch, from mp_.sbrk_base to the end of top, and
// system_mem is its length; each of the three follows from the others, so one of them may be out of
// date. Once brk has failed (or the library copy is not the one that owns the break) the arena also
// grows by mmap, and each such stretch, when abandoned, is closed by two headers of size 16 at a
// page's end. Every page that nothing else explains is then tried as the beginning of such a
// stretch: it is one if its chunks lead, without a break, to such headers or to top.

#include "heap/glibc/arenas.h"

#include <algorithm>

#include "heap/glibc/chain_probe.h"
#include "heap/glibc/chunks.h"
#include "heapscan/base/text.h"
#include "heapscan/image/intervals.h"

namespace heapscan::glibc {

namespace {

// Private memory around `at`, across regions that touch, up to what is taken.
AddrRange memory_around(const MemoryImage& image, Addr at, const std::vector<AddrRange>& taken) {
  const Region* const here = image.region_at(at);
  if (here == nullptr) return {};
  const auto& regions = image.regions();
  const auto fits = [](const Region& r) {
    return r.backing != Backing::Device && r.backing != Backing::Special && !r.perms.shared;
  };
  if (!fits(*here)) return here->range;
  size_t first = static_cast<size_t>(here - regions.data());
  size_t last = first;
  while (first > 0 && fits(regions[first - 1]) &&
         regions[first - 1].range.end() == regions[first].range.begin())
    --first;
  while (last + 1 < regions.size() && fits(regions[last + 1]) &&
         regions[last + 1].range.begin() == regions[last].range.end()) {
    ++last;
  }
  const AddrRange whole(regions[first].range.begin(), regions[last].range.end());
  const std::vector<AddrRange> left = subtract({whole}, taken);
  const auto part =
      std::find_if(left.begin(), left.end(), [&](AddrRange r) { return r.contains(at); });
  return part == left.end() ? AddrRange() : *part;
}

// Where top ends: its own size says so unless the process was stopped just before writing it.
Addr end_of_top(WordReader& reader, const ArenaFields& main, Addr sbrk_base, AddrRange memory) {
  const auto word = reader.word(main.top + 8);
  const uint64_t size = word ? size_of(*word) : 0;
  const Addr end = main.top + size;
  if (size != 0 && size % kAlignment == 0 && end <= memory.end()) return end;
  if (!sbrk_base.is_null() && memory.contains(sbrk_base + main.system_mem))
    return sbrk_base + main.system_mem;
  return memory.end();
}

bool starts_chunks(const MemoryImage& image, Addr begin, Addr end, Addr top) {
  if (begin == top) return true;
  HeapArea area;
  area.range = AddrRange(begin, end);
  area.is_main = true;
  area.top = top;
  return ChainProbe(image, area).is_chain(begin.value);
}

std::vector<AddrRange> mapped_stretches(WordReader& reader, const ArenaFields& main, Addr end,
                                        const std::vector<AddrRange>& taken) {
  const MemoryImage& image = reader.image();
  std::vector<AddrRange> memory;
  for (const Region& region : image.regions()) {
    if (is_raw_memory(region) && region.contents == Contents::Saved) memory.push_back(region.range);
  }
  std::vector<AddrRange> found;
  const auto search = [&](AddrRange range, Addr top) {
    HeapArea area;
    area.is_main = true;
    area.top = top;
    area.range = range;
    ChainProbe probe(image, area);
    image.for_each_span(range, [&](Addr begin, Bytes bytes) {
      for (Addr page = begin.align_up(kPage); page + kPage <= begin + bytes.size();
           page = page + kPage) {
        if (!found.empty() && page < found.back().end()) continue;
        const auto word = reader.word(page + 8);
        if (!word || (*word & kFlagBits) != kPrevInUse || *word == kPrevInUse) continue;
        if (const auto chain_end = probe.end_of_chain(page.value))
          found.push_back(AddrRange(page, Addr(*chain_end)));
      }
    });
  };
  for (const AddrRange& range : subtract(joined(std::move(memory)), taken)) {
    if (!range.contains(main.top)) {
      search(range, Addr());
      continue;
    }
    search(AddrRange(range.begin(), end), main.top);
    search(AddrRange(end, range.end()), Addr());
  }
  return found;
}

}  // namespace

Addr expected_sbrk_base(WordReader& reader, const ArenaFields& main) {
  if (main.top.is_null() || (main.flags & kNoncontiguous) != 0) return Addr();
  const auto word = reader.word(main.top + 8);
  if (!word) return Addr();
  return main.top + size_of(*word) - main.system_mem;
}

MainExtent find_main_extent(WordReader& reader, const Ring& ring, const ArenaFields& main,
                            const std::optional<MallocParams>& params,
                            const std::vector<AddrRange>& taken, Notes& notes) {
  const MemoryImage& image = reader.image();
  MainExtent extent;
  if (main.top.is_null()) return extent;
  const AddrRange memory = memory_around(image, main.top, taken);
  if (memory.empty() || !main.top.is_aligned(kAlignment)) {
    notes.push_back({NoteKind::HeapDamage, hex(ring.main),
                     "malloc(): corrupted top size: top of the main arena, " + hex(main.top) +
                         ", is not in memory"});
    return extent;
  }
  const bool contiguous = (main.flags & kNoncontiguous) == 0;
  const Addr recorded = params ? params->sbrk_base : Addr();
  const Addr end = end_of_top(reader, main, recorded, memory);

  if (!contiguous) {
    extent.stretches = mapped_stretches(reader, main, end, taken);
    if (!recorded.is_null()) {
      // What was grown by brk, before that failed, need not begin at a page.
      const AddrRange by_brk = memory_around(image, recorded, taken);
      HeapArea area;
      area.is_main = true;
      const Addr first = recorded.align_up(kAlignment);
      extent.padding = first - recorded;
      area.range = AddrRange(first, by_brk.contains(main.top) ? end : by_brk.end());
      area.top = by_brk.contains(main.top) ? main.top : Addr();
      extent.owned = by_brk;
      const bool known = std::any_of(extent.stretches.begin(), extent.stretches.end(),
                                     [&](AddrRange r) { return r.contains(first); });
      if (!known && starts_chunks(image, first, area.range.end(), area.top)) {
        const auto chain_end = ChainProbe(image, area).end_of_chain(first.value);
        extent.stretches.push_back(
            AddrRange(first, chain_end ? Addr(*chain_end) : area.range.end()));
      }
    }
    // Stretches that touch stay apart: each is closed by headers of its own.
    std::sort(extent.stretches.begin(), extent.stretches.end());
    const bool has_top = std::any_of(extent.stretches.begin(), extent.stretches.end(),
                                     [&](AddrRange r) { return r.contains(main.top); });
    if (has_top) return extent;
  } else {
    extent.owned = memory;
  }

  // Of the possible beginnings, the first from which chunks follow.
  const Addr counted_back = end - main.system_mem;
  const Addr candidates[] = {recorded, counted_back, recorded.align_up(kAlignment),
                             counted_back.align_up(kAlignment), memory.begin()};
  Addr begin;
  for (const Addr candidate : candidates) {
    if (candidate < memory.begin() || candidate > main.top || !candidate.is_aligned(kAlignment))
      continue;
    if (begin.is_null()) begin = candidate;
    if (starts_chunks(image, candidate, end, main.top)) {
      begin = candidate;
      break;
    }
  }
  if (begin.is_null()) begin = main.top;
  for (const Addr start : {recorded, counted_back}) {
    if (!start.is_null() && start.align_up(kAlignment) == begin) extent.padding = begin - start;
  }
  extent.stretches.push_back(AddrRange(begin, end));
  std::sort(extent.stretches.begin(), extent.stretches.end());
  return extent;
}

}  // namespace heapscan::glibc

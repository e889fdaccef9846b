// The kernel joins neighbouring private mappings, so raw memory is what remains of anonymous regions once
// everything known is taken away, byte by byte. What remains in one piece is one block, with one
// exception: stacks of equal size, mapped one after another and each used from its top, leave a
// comb of written and untouched pages that shows where they meet.

#include "heap/allocator.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "heapscan/image/intervals.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostStackPages = 16384;  // of one stack, when looking for the first
constexpr size_t kMostTries = 16;
constexpr uint64_t kLeastUnits = 5;  // four places where two meet
// Guards are shorter than the one, and not several times as long as what they guard.
constexpr uint64_t kLongerThanGuards = uint64_t{1} << 20;
constexpr uint64_t kAsLongAsGuards = uint64_t{64} << 10;

bool holds_something(const MemoryImage& image, AddrRange range) {
  bool found = false;
  image.for_each_span(range, [&](Addr, Bytes bytes) {
    if (found || bytes.empty()) return;
    // Zero throughout: the first byte is, and every byte equals the one before it.
    found = bytes[0] != std::byte{0} ||
            std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) != 0;
  });
  return found;
}

// Shared with children, perhaps, but it has no other name than its address.
bool is_anonymous(const Region& region) {
  return region.backing == Backing::Anonymous && !region.module.valid();
}

// Private memory is one thing wherever it touches. Of shared memory each object has an inode, which
// a core does not tell; a name, which others may have as well; and begins at an offset of its own.
bool continues_object(const Region& last, const Region& next) {
  if (last.range.end() != next.range.begin() || last.perms != next.perms) return false;
  return !next.perms.shared || (next.label == last.label && next.object == last.object &&
                                next.file_offset == last.file_offset + last.range.size());
}

bool may_be_a_block(const MemoryImage& image, const Region& region) {
  if (region.perms.write) return true;
  // Reservations, guards and what the kernel shows of itself are nobody's blocks; memory that was
  // used and then protected is. gcore makes readable memory of inaccessible.
  return region.contents == Contents::Saved && holds_something(image, region.range);
}

// The size of the equal stacks that `range` is made of.
std::optional<uint64_t> unit_of_stacks(const MemoryImage& image, AddrRange range) {
  const uint64_t pages = range.size() / kPage;
  if (range.size() % kPage != 0 || pages < 2 * kLeastUnits) return std::nullopt;
  const auto written = [&](uint64_t page) {
    return holds_something(image, AddrRange::sized(range.begin() + page * kPage, kPage));
  };
  if (written(0) || !written(pages - 1)) return std::nullopt;
  size_t tries = 0;
  bool before = false;
  for (uint64_t page = 1;
       page <= std::min(kMostStackPages, pages / kLeastUnits) && tries < kMostTries; ++page) {
    const bool now = written(page);
    if (before && !now) {
      ++tries;
      const uint64_t units = pages / page;
      bool fits = pages % page == 0 && units >= kLeastUnits;
      for (uint64_t unit = 1; fits && unit < units; ++unit)
        fits = written(unit * page - 1) && !written(unit * page);
      if (fits) return page * kPage;
    }
    before = now;
  }
  return std::nullopt;
}

// Whether `usable` bytes that touch `reserved` bytes without rights may have been reserved with
// them.
bool is_more_than_a_guard(uint64_t reserved, uint64_t usable) {
  return reserved >= kLongerThanGuards || (reserved >= kAsLongAsGuards && reserved / 4 >= usable);
}

// A piece of a row of anonymous mappings that touch.
struct Piece {
  AddrRange range;
  bool reserved = false;
};

std::vector<Piece> pieces_of(const MemoryImage& image, const std::vector<AddrRange>& taken,
                             const std::vector<AddrRange>& mappings) {
  std::vector<AddrRange> reserved;
  for (const Region& region : image.regions()) {
    if (is_raw_memory(region) && !may_be_a_block(image, region)) reserved.push_back(region.range);
  }
  std::vector<Piece> pieces;
  for (const AddrRange& range : subtract(joined(std::move(reserved)), taken))
    pieces.push_back({range, true});
  for (const AddrRange& range : mappings) {
    const Region* const region = image.region_at(range.begin());
    if (region != nullptr && is_raw_memory(*region)) pieces.push_back({range, false});
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.range.begin() < b.range.begin(); });
  return pieces;
}

}  // namespace

std::vector<AddrRange> find_mappings(const MemoryImage& image,
                                     const std::vector<AddrRange>& taken) {
  std::vector<AddrRange> raw;
  const Region* last = nullptr;
  for (const Region& region : image.regions()) {
    if (!is_anonymous(region) || !may_be_a_block(image, region)) continue;
    const bool continues = last != nullptr && continues_object(*last, region);
    if (continues) {
      raw.back() = AddrRange(raw.back().begin(), region.range.end());
    } else {
      raw.push_back(region.range);
    }
    last = &region;
  }
  std::vector<AddrRange> mappings;
  for (const AddrRange& range : subtract(raw, taken)) {
    const auto unit = unit_of_stacks(image, range);
    if (!unit) {
      mappings.push_back(range);
      continue;
    }
    for (Addr at = range.begin(); at < range.end(); at = at + *unit)
      mappings.push_back(AddrRange::sized(at, *unit));
  }
  return mappings;
}

void join_reservations(const MemoryImage& image, const std::vector<AddrRange>& taken,
                       std::vector<AddrRange>& mappings) {
  const std::vector<Piece> pieces = pieces_of(image, taken, mappings);
  const auto touches = [&](size_t i) {
    return i < pieces.size() && pieces[i - 1].range.end() == pieces[i].range.begin();
  };
  std::vector<AddrRange> reservations;
  for (size_t i = 0; i < pieces.size();) {
    // From one piece without rights to the next, with usable ones between them.
    size_t next = i + 1;
    while (touches(next) && !pieces[next].reserved) ++next;
    if (pieces[i].reserved && next > i + 1 && touches(next)) {
      const uint64_t usable = pieces[next].range.begin() - pieces[i].range.end();
      const uint64_t reserved = std::max(pieces[i].range.size(), pieces[next].range.size());
      if (is_more_than_a_guard(reserved, usable))
        reservations.emplace_back(pieces[i].range.begin(), pieces[next].range.end());
    }
    i = next;
  }
  // Where one ends with a piece without rights, the next may begin with that.
  std::vector<AddrRange> whole;
  for (const AddrRange& range : reservations) {
    if (!whole.empty() && range.begin() < whole.back().end()) {
      whole.back() = AddrRange(whole.back().begin(), range.end());
    } else {
      whole.push_back(range);
    }
  }
  mappings = subtract(mappings, whole);
  mappings.insert(mappings.end(), whole.begin(), whole.end());
  std::sort(mappings.begin(), mappings.end());
}

std::vector<AddrRange> raw_mappings(const MemoryImage& image, const RuntimeFacts& runtime,
                                    const std::vector<AddrRange>& owns) {
  std::vector<AddrRange> taken = module_pages(image);
  for (const auto& more :
       {thread_stacks(image, runtime), thread_and_loader_memory(runtime), owns}) {
    taken.insert(taken.end(), more.begin(), more.end());
  }
  taken = joined(std::move(taken));
  std::vector<AddrRange> mappings = find_mappings(image, taken);
  join_reservations(image, taken, mappings);
  return mappings;
}

}  // namespace heapscan

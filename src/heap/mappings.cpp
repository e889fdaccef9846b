// The kernel joins neighbouring mappings, so raw memory is what remains of anonymous regions once
// everything known is taken away, byte by byte. What remains in one piece is one block, with one
// exception: stacks of equal size, mapped one after another and each used from its top, leave a
// comb of written and untouched pages that shows where they meet.

#include "heap/mappings.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "heap/intervals.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostStackPages = 16384;  // of one stack, when looking for the first
constexpr size_t kMostTries = 16;
constexpr uint64_t kLeastUnits = 5;  // four places where two meet

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

}  // namespace

std::vector<AddrRange> thread_stacks(const MemoryImage& image, const ThreadAreas& threads) {
  // struct pthread: where the stack's mapping begins, its guard included, and how long it is.
  constexpr uint64_t kStackBlock = 0x690;
  constexpr uint64_t kStackBlockSize = 0x698;
  std::vector<AddrRange> stacks;
  for (const ThreadArea& area : threads.areas) {
    stacks.push_back(whole_pages(area.stack));
    if (area.descriptor.is_null()) continue;
    const auto begin = image.read_addr(area.descriptor + kStackBlock);
    const auto size = image.read<uint64_t>(area.descriptor + kStackBlockSize);
    if (!begin || !size) continue;
    const AddrRange whole = AddrRange::sized(*begin, *size);
    if (whole.contains(area.descriptor) && whole.contains(area.stack))
      stacks.push_back(whole_pages(whole));
  }
  return joined(std::move(stacks));
}

std::vector<AddrRange> thread_and_loader_memory(const ThreadAreas& threads) {
  std::vector<AddrRange> taken = threads.loader_memory;
  for (const ThreadArea& area : threads.areas) {
    taken.push_back(whole_pages(area.static_tls));
    if (!area.descriptor.is_null()) {
      taken.push_back(whole_pages(AddrRange::sized(area.descriptor, area.descriptor_size)));
    }
  }
  return joined(std::move(taken));
}

std::vector<AddrRange> find_mappings(const MemoryImage& image,
                                     const std::vector<AddrRange>& taken) {
  std::vector<AddrRange> raw;
  const Region* last = nullptr;
  for (const Region& region : image.regions()) {
    if (!is_anonymous(region) || !may_be_a_block(image, region)) continue;
    const bool continues =
        last != nullptr && last->range.end() == region.range.begin() && last->perms == region.perms;
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

}  // namespace heapscan

#include "heapscan/image/intervals.h"

#include <algorithm>

namespace heapscan {

std::vector<AddrRange> joined(std::vector<AddrRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<AddrRange> result;
  for (const AddrRange& range : ranges) {
    if (range.empty()) continue;
    if (!result.empty() && range.begin() <= result.back().end()) {
      result.back() = AddrRange(result.back().begin(), std::max(result.back().end(), range.end()));
    } else {
      result.push_back(range);
    }
  }
  return result;
}

std::vector<AddrRange> subtract(const std::vector<AddrRange>& from,
                                const std::vector<AddrRange>& taken) {
  std::vector<AddrRange> result;
  auto next = taken.begin();
  for (const AddrRange& range : from) {
    Addr at = range.begin();
    while (next != taken.end() && next->end() <= at) ++next;
    for (auto t = next; t != taken.end() && t->begin() < range.end(); ++t) {
      if (at < t->begin()) result.push_back(AddrRange(at, t->begin()));
      at = std::max(at, t->end());
    }
    if (at < range.end()) result.push_back(AddrRange(at, range.end()));
  }
  return result;
}

AddrRange whole_pages(AddrRange range) {
  return range.empty() ? range
                       : AddrRange(range.begin().align_down(kPage), range.end().align_up(kPage));
}

uint64_t common_bytes(const std::vector<AddrRange>& ranges, AddrRange range) {
  auto first = std::partition_point(ranges.begin(), ranges.end(),
                                    [&](const AddrRange& r) { return r.end() <= range.begin(); });
  uint64_t bytes = 0;
  for (; first != ranges.end() && first->begin() < range.end(); ++first)
    bytes += first->intersect(range).size();
  return bytes;
}

bool is_raw_memory(const Region& region) {
  return region.backing == Backing::Anonymous && !region.perms.shared && !region.module.valid();
}

std::vector<AddrRange> module_pages(const MemoryImage& image) {
  std::vector<AddrRange> pages;
  for (const Module& module : image.modules()) {
    for (const ModuleSegment& segment : module.segments) {
      pages.push_back(
          AddrRange(segment.range.begin().align_down(kPage), segment.range.end().align_up(kPage)));
    }
  }
  return joined(std::move(pages));
}

}  // namespace heapscan

#include "heapscan/image/image_builder.h"

#include <algorithm>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

std::vector<AddrRange> sorted_and_joined(std::vector<AddrRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<AddrRange> joined;
  for (const AddrRange& range : ranges) {
    if (range.empty()) continue;
    if (!joined.empty() && range.begin() <= joined.back().end()) {
      joined.back() = {joined.back().begin(), std::max(joined.back().end(), range.end())};
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

}  // namespace

const std::byte* ImageBuilder::keep_copy(Bytes bytes) {
  return image_.copies_.emplace_back(bytes.begin(), bytes.end()).data();
}

void ImageBuilder::add_region(Region region) {
  HS_CHECK((region.contents == Contents::Saved) == (region.bytes != nullptr));
  if (!region.range.empty()) image_.regions_.push_back(std::move(region));
}

void ImageBuilder::add_missing_bytes(uint64_t bytes) {
  if (__builtin_add_overflow(image_.missing_bytes_, bytes, &image_.missing_bytes_)) {
    image_.missing_bytes_ = ~uint64_t{0};
  }
}

void ImageBuilder::index_modules() {
  auto& rows = image_.module_ranges_;
  for (size_t i = 0; i < image_.modules_.size(); ++i) {
    for (const ModuleSegment& segment : image_.modules_[ModuleId(i)].segments) {
      if (!segment.range.empty()) rows.push_back({segment.range, ModuleId(i), Addr()});
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.range.begin() < b.range.begin(); });
  Addr reach;
  for (auto& row : rows) row.reach = reach = std::max(reach, row.range.end());
}

MemoryImage ImageBuilder::freeze() {
  auto& regions = image_.regions_;
  std::stable_sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) {
    return a.range.begin() < b.range.begin();
  });
  size_t kept = 0;
  for (size_t i = 0; i < regions.size(); ++i) {
    if (kept > 0 && regions[i].range.overlaps(regions[kept - 1].range)) {
      add_note({NoteKind::Input, hex(regions[i].range.begin()),
                "this region overlaps the one before it and is left out"});
      continue;
    }
    if (kept != i) regions[kept] = std::move(regions[i]);
    ++kept;
  }
  regions.resize(kept);

  const std::vector<AddrRange> populated = sorted_and_joined(std::move(populated_));
  const bool everything = populated.empty();
  auto add_span = [this](AddrRange range, const std::byte* bytes) {
    auto& spans = image_.spans_;
    if (!spans.empty() && spans.back().range.end() == range.begin() &&
        spans.back().bytes + spans.back().range.size() == bytes) {
      spans.back().range = {spans.back().range.begin(), range.end()};
    } else {
      spans.push_back({range, bytes});
    }
  };
  size_t next = 0;
  for (const Region& region : regions) {
    if (region.contents != Contents::Saved) continue;
    if (everything) {
      add_span(region.range, region.bytes);
      continue;
    }
    while (next < populated.size() && populated[next].end() <= region.range.begin()) ++next;
    for (size_t i = next; i < populated.size() && populated[i].begin() < region.range.end(); ++i) {
      const AddrRange part = populated[i].intersect(region.range);
      add_span(part, region.bytes + (part.begin() - region.range.begin()));
    }
  }
  populated_.clear();
  index_modules();
  return std::move(image_);
}

}  // namespace heapscan

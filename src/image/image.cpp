#include "heapscan/image/image.h"

#include <algorithm>
#include <cstring>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

std::string_view Module::file_name() const {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string_view(path)
                                    : std::string_view(path).substr(slash + 1);
}

const char* name_of(Register r) {
  static constexpr const char* kNames[kRegisterCount] = {
      "r15",    "r14", "r13", "r12",     "rbp",     "rbx", "r11",      "r10", "r9",
      "r8",     "rax", "rcx", "rdx",     "rsi",     "rdi", "orig_rax", "rip", "cs",
      "eflags", "rsp", "ss",  "fs_base", "gs_base", "ds",  "es",       "fs",  "gs"};
  return kNames[static_cast<size_t>(r)];
}

const char* name_of(KernelReference::Kind kind) {
  switch (kind) {
    case KernelReference::Kind::Epoll:
      return "epoll";
    case KernelReference::Kind::Timer:
      return "timer";
    case KernelReference::Kind::QueuedSignal:
      return "queued signal";
    case KernelReference::Kind::Queue:
      return "pipe or socket";
    case KernelReference::Kind::IoUring:
      return "io_uring";
    case KernelReference::Kind::Unseen:
      return "unseen";
  }
  return "kernel";
}

std::optional<uint64_t> MemoryImage::aux(uint64_t type) const {
  for (const AuxEntry& entry : aux_) {
    if (entry.type == type) return entry.value;
  }
  return std::nullopt;
}

const Region* MemoryImage::region_at(Addr a) const {
  auto after = std::upper_bound(regions_.begin(), regions_.end(), a,
                                [](Addr at, const Region& r) { return at < r.range.begin(); });
  if (after == regions_.begin()) return nullptr;
  const Region& candidate = *std::prev(after);
  return candidate.range.contains(a) ? &candidate : nullptr;
}

const Module* MemoryImage::module_at(Addr a) const {
  auto row = std::upper_bound(module_ranges_.begin(), module_ranges_.end(), a,
                              [](Addr at, const ModuleRange& r) { return at < r.range.begin(); });
  ModuleId found = ModuleId::none();
  while (row != module_ranges_.begin() && a < (--row)->reach) {
    if (row->range.contains(a) && (!found.valid() || row->module < found)) found = row->module;
  }
  return found.valid() ? &modules_[found] : nullptr;
}

std::optional<Bytes> MemoryImage::view(AddrRange range) const {
  const Region* region = region_at(range.begin());
  if (region == nullptr || region->contents != Contents::Saved) return std::nullopt;
  const std::byte* const begin = region->bytes + (range.begin() - region->range.begin());
  const Region* const last = regions_.data() + regions_.size() - 1;
  while (region->range.end() < range.end()) {
    if (region == last) return std::nullopt;
    const Region* const next = region + 1;
    if (next->range.begin() != region->range.end() || next->contents != Contents::Saved ||
        next->bytes != region->bytes + region->range.size()) {
      return std::nullopt;
    }
    region = next;
  }
  return Bytes(begin, range.size());
}

bool MemoryImage::read_bytes(Addr at, std::span<std::byte> out) const {
  while (!out.empty()) {
    const Region* const region = region_at(at);
    if (region == nullptr || region->contents == Contents::Absent) return false;
    const size_t count = std::min<uint64_t>(out.size(), region->range.end() - at);
    if (region->contents == Contents::Zero) {
      std::memset(out.data(), 0, count);
    } else {
      std::memcpy(out.data(), region->bytes + (at - region->range.begin()), count);
    }
    out = out.subspan(count);
    at = at + count;
  }
  return true;
}

std::optional<Addr> MemoryImage::read_addr(Addr at) const {
  const auto value = read<uint64_t>(at);
  if (!value) return std::nullopt;
  return Addr(*value);
}

std::optional<std::string> MemoryImage::read_string(Addr at, size_t limit) const {
  std::string text;
  while (text.size() < limit) {
    const auto c = read<char>(at);
    if (!c) return std::nullopt;
    if (*c == '\0') break;
    text += *c;
    at = at + 1;
  }
  return text;
}

size_t MemoryImage::first_span_after(Addr a) const {
  const auto first = std::partition_point(spans_.begin(), spans_.end(),
                                          [a](const Span& s) { return s.range.end() <= a; });
  return static_cast<size_t>(first - spans_.begin());
}

uint64_t MemoryImage::populated_bytes(AddrRange range) const {
  uint64_t total = 0;
  for_each_span(range, [&](Addr, Bytes bytes) { total += bytes.size(); });
  return total;
}

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

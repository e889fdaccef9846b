// The library says its version in a sentence of its read-only data. Only a hint: distributions
// carry changes back.

#include <algorithm>
#include <cstring>
#include <string_view>

#include "heap/glibc/glibc_heap.h"

namespace heapscan::glibc {

namespace {

constexpr std::string_view kBanner = "GNU C Library ";
constexpr std::string_view kVersion = " version ";
constexpr size_t kMostBanner = 200;

std::string version_in(Bytes bytes) {
  const auto* const text = reinterpret_cast<const char*>(bytes.data());
  const void* const at = memmem(text, bytes.size(), kBanner.data(), kBanner.size());
  if (at == nullptr) return {};
  const auto offset = static_cast<size_t>(static_cast<const char*>(at) - text);
  std::string_view line(text + offset, std::min(kMostBanner, bytes.size() - offset));
  line = line.substr(0, line.find('\n'));
  const size_t version = line.find(kVersion);
  if (version == std::string_view::npos) return {};
  std::string_view number = line.substr(version + kVersion.size());
  number = number.substr(0, number.find_first_not_of("0123456789."));
  while (!number.empty() && number.back() == '.') number.remove_suffix(1);
  return std::string(number);
}

}  // namespace

std::string version_of(const MemoryImage& image, const GlibcHeap& found) {
  std::string version;
  for (const Library& library : found.libraries) {
    if (!library.ring.module.valid()) continue;
    for (const ModuleSegment& segment : image.modules()[library.ring.module].segments) {
      if (segment.writable) continue;
      image.for_each_span(segment.range, [&](Addr, Bytes bytes) {
        if (version.empty()) version = version_in(bytes);
      });
    }
    if (!version.empty()) break;
  }
  return version;
}

}  // namespace heapscan::glibc

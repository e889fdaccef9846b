#include "heap/module_text.h"

#include <algorithm>
#include <functional>

namespace heapscan {

namespace {

bool holds(const MemoryImage& image, AddrRange range, std::string_view text) {
  bool found = false;
  const auto matcher = std::boyer_moore_horspool_searcher(text.begin(), text.end());
  image.for_each_span(range, [&](Addr, Bytes bytes) {
    if (found) return;
    const std::string_view there(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    found = std::search(there.begin(), there.end(), matcher) != there.end();
  });
  return found;
}

}  // namespace

bool holds_text(const MemoryImage& image, const Module& module, std::string_view text) {
  return std::any_of(module.segments.begin(), module.segments.end(),
                     [&](const ModuleSegment& s) { return holds(image, s.range, text); });
}

std::string name_in_sentence(const Module& module) {
  return module.path.empty() ? "the program" : std::string(module.file_name());
}

}  // namespace heapscan

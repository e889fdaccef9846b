#include "sites/code_pointers.h"

#include <algorithm>

#include "heapscan/base/bytes.h"
#include "sites/stubs.h"

namespace heapscan {

std::vector<CodePointer> code_pointers_of(const MemoryImage& image, ModuleId id) {
  std::vector<AddrRange> code;
  for (size_t m = 0; m < image.modules().size(); ++m) {
    for (const ModuleSegment& segment : image.modules()[ModuleId(m)].segments) {
      if (segment.executable) code.push_back(segment.range);
    }
  }
  std::sort(code.begin(), code.end());
  const auto is_code_at = [&](Addr a) {
    const auto after = std::upper_bound(code.begin(), code.end(), a,
                                        [](Addr x, AddrRange r) { return x < r.begin(); });
    return after != code.begin() && std::prev(after)->contains(a);
  };
  std::vector<CodePointer> pointers;
  for (const ModuleSegment& segment : image.modules()[id].segments) {
    if (segment.executable || !segment.writable) continue;
    image.for_each_span(segment.range, [&](Addr begin, Bytes bytes) {
      const uint64_t skipped = -begin.value % 8;
      for (uint64_t at = skipped; at + 8 <= bytes.size(); at += 8) {
        const Addr word(load<uint64_t>(bytes.data() + at));
        if (pointers.size() < kMostCodePointers && is_code_at(word)) {
          pointers.push_back({word, begin + at});
        }
      }
    });
  }
  std::sort(pointers.begin(), pointers.end(), [](const CodePointer& a, const CodePointer& b) {
    return a.value != b.value ? a.value < b.value : a.at < b.at;
  });
  return pointers;
}

}  // namespace heapscan

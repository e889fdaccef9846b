// Private mappings that the kernel joined into one area: a few words that lead somewhere into it keep
// all of it, and hide the parts that nobody has an address of any more.
//
// Made by find_merged_areas() after all verdicts are passed; it changes none. An area is divided only
// where two things agree: its contents begin alike at places of one spacing, and most of what leads
// into it leads to such places.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"

namespace heapscan {

struct MergedArea {
  BlockId mapping;            // reachable or possible
  uint64_t period = 0;        // bytes, whole pages
  Addr first;                 // where the first part begins
  uint64_t parts = 0;         // that hold something
  uint64_t named = 0;         // of them: a live word leads there, or a word in a part that is named
  uint64_t places = 0;        // parts to which words outside the area lead
  std::vector<Addr> unnamed;  // the other parts, ascending; each `period` bytes or up to the end
  uint64_t unnamed_bytes = 0;
};

// Ascending; those with unnamed parts only.
[[nodiscard]] std::vector<MergedArea> find_merged_areas(const MemoryImage& image,
                                                        const HeapModel& heap, const Roots& roots,
                                                        const Reachability& reach);

}  // namespace heapscan

// What only hidden words hold, and which ones those are. See why_possible.h for what such words are.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "reach/marker.h"
#include "reach/why_possible.h"

namespace heapscan {

class HiddenTracing {
 public:
  // Refers to all of them, which must outlive it.
  HiddenTracing(const MemoryImage& image, const HeapModel& heap, const Roots& roots, Marker& marker)
      : image_(image), heap_(heap), roots_(roots), marker_(marker) {}

  // Looks for hidden words in all that is held, roots included, and goes along them to the end.
  // `follow` takes addresses, and clears the bits in `unheld` of all that they lead to.
  void mark(const BlockBitmap& judged, const BlockBitmap& unheld,
            const std::function<void(const std::vector<uint64_t>&)>& follow);

  // Of a block that a hidden word names; nothing for others.
  [[nodiscard]] std::optional<Reason> reason_of(BlockId block) const;
  // Where that word lies, if it does in memory.
  [[nodiscard]] std::optional<HiddenName> name_of(BlockId block) const;

 private:
  [[nodiscard]] std::vector<HiddenPointer> find(const Roots& roots,
                                                const BlockBitmap& searched) const;
  void note(const std::vector<HiddenPointer>& found);
  void settle();

  const MemoryImage& image_;
  const HeapModel& heap_;
  const Roots& roots_;
  Marker& marker_;
  BlockBitmap candidates_{0};                        // not held when the search began
  std::vector<std::pair<BlockId, Reason>> reasons_;  // sorted, each block once
  std::vector<HiddenName> names_;                    // likewise
};

}  // namespace heapscan

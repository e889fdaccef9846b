// The parallel walk along pointers: from seeds to every block they lead to.
//
// A Marker claims blocks in a bitmap of those still open. What a word that points into the middle
// of a block is worth depends on the mode. The set of blocks claimed does not depend on the number
// of threads or their timing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/reach/stale_stores.h"
#include "reach/hidden_pointers.h"
#include "reach/interior_rules.h"

namespace heapscan {

constexpr size_t kRootKinds = static_cast<size_t>(RootKind::IoUring) + 1;
constexpr size_t kHeapRow = kRootKinds;  // the funnel's row for words in blocks
using Funnels = std::array<Funnel, kRootKinds + 1>;

class Marker {
 public:
  enum class Mode {
    Firm,   // start pointers and explained interior ones are followed; others are handed back
    Loose,  // every pointer is followed
  };

  Marker(const MemoryImage& image, const HeapModel& heap, const BlockMemory& memory,
         const InteriorRules& rules, const StaleStores& left_out, const BlockBitmap& holed)
      : image_(image),
        heap_(heap),
        memory_(memory),
        rules_(rules),
        left_out_(left_out),
        holed_(holed) {}

  // From now on these, sorted by place, count as words of the blocks they lie in. Whoever hands
  // them over keeps them.
  void set_hidden(std::span<const HiddenPointer> hidden) { hidden_ = hidden; }

  // Follows the words of `ranges` and `words` of one strength, and `addresses` (each as if it had
  // been found in a heap block), then everything they lead to, claiming blocks in `open`. Words of
  // stale stretches are left out. Returns
  // the interior pointers met whose block's bit in `unreached` is set and which were not followed
  // firmly: sorted, each once.
  [[nodiscard]] std::vector<uint64_t> run(Mode mode, BlockBitmap& open,
                                          const BlockBitmap& unreached,
                                          std::span<const RootRange> ranges,
                                          std::span<const RootWord> words,
                                          std::span<const uint64_t> addresses, Funnels& funnels);

 private:
  const MemoryImage& image_;
  const HeapModel& heap_;
  const BlockMemory& memory_;
  const InteriorRules& rules_;
  const StaleStores& left_out_;
  const BlockBitmap& holed_;  // blocks that it has stretches of
  std::span<const HiddenPointer> hidden_;
};

}  // namespace heapscan

#include "heap/heap_totals.h"

#include "heapscan/base/parallel.h"
#include "heapscan/heap/free_memory.h"
#include "heapscan/image/intervals.h"

namespace heapscan {

HeapTotals add_up(const MemoryImage& image, std::span<const Block> blocks,
                  const std::vector<Arena>& arenas) {
  constexpr size_t kPiece = size_t{1} << 18;
  const Residency* const residency = image.residency() ? &*image.residency() : nullptr;
  std::vector<HeapTotals> pieces(blocks.size() / kPiece + 1);
  parallel_for_pieces(blocks.size(), kPiece, [&](size_t begin, size_t end) {
    HeapTotals& totals = pieces[begin / kPiece];
    uint64_t trimmable = 0;
    for (size_t b = begin; b < end; ++b) {
      const Block& block = blocks[b];
      const auto add = [&](StateTotal& total) {
        ++total.blocks;
        total.bytes += block.size();
      };
      switch (block.state()) {
        case BlockState::Used:
          add(totals.used);
          break;
        case BlockState::Tcache:
        case BlockState::Fastbin:
        case BlockState::Binned:
          add(totals.free);
          break;
        case BlockState::Top:
          totals.top_bytes += block.size();
          break;
        case BlockState::Bookkeeping:
          break;
        case BlockState::Mapping:
          add(totals.mappings);
          break;
      }
      if (residency == nullptr) continue;
      const AddrRange pages = trimmable_pages(block, arenas);
      if (!pages.empty()) trimmable += common_bytes(residency->resident, pages);
    }
    if (residency != nullptr) totals.trimmable_bytes = trimmable;
  });
  HeapTotals sum;
  if (residency != nullptr) sum.trimmable_bytes = 0;
  const auto join = [](StateTotal& into, const StateTotal& from) {
    into.blocks += from.blocks;
    into.bytes += from.bytes;
  };
  for (const HeapTotals& piece : pieces) {
    join(sum.used, piece.used);
    join(sum.free, piece.free);
    join(sum.mappings, piece.mappings);
    sum.top_bytes += piece.top_bytes;
    if (sum.trimmable_bytes) *sum.trimmable_bytes += piece.trimmable_bytes.value_or(0);
  }
  return sum;
}

}  // namespace heapscan

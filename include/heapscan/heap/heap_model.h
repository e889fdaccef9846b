// Which blocks exist and in which state: what an allocator's walker returns, the same for every
// allocator. Finished when the walk returns: whoever comes later adds columns beside it.
//
// Invariants: blocks are sorted by address and disjoint; `index` finds exactly them; arena ids are
// below arenas.size(); in every heap range blocks + headers + padding + damaged ranges add up to
// its size.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/heap/block.h"
#include "heapscan/heap/block_index.h"
#include "heapscan/heap/pointer_words.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

struct Arena {
  Addr state;  // malloc_state
  bool is_main = false;
  uint64_t system_bytes = 0;  // as the allocator counts them
  size_t heaps = 0;           // separate stretches of memory
};

// A stretch of memory the allocator parcels out.
struct HeapRange {
  AddrRange range;  // from the first chunk's header to the end of top or of the last fencepost
  ArenaId arena;    // none: a chunk with a mapping of its own
};

enum class LayoutSource : uint8_t { Dwarf, Table, Probed };
[[nodiscard]] const char* name_of(LayoutSource source);

// A figure of the allocator's own compared with what was found.
struct Check {
  std::string name;
  bool ok = false;
  std::string detail;
};

struct StateTotal {
  uint64_t blocks = 0;
  uint64_t bytes = 0;
};

struct HeapTotals {
  StateTotal used;  // mappings not included
  StateTotal free;  // tcache, fastbins and bins
  StateTotal mappings;
  uint64_t top_bytes = 0;
  // Whole resident pages of freed blocks and of the main arena's end, which malloc_trim would give
  // back; nothing without residency.
  std::optional<uint64_t> trimmable_bytes;
};

struct HeapModel {
  std::string allocator;  // "glibc"
  std::string version;    // "2.36"; empty when unknown; a hint that decided nothing
  LayoutSource layout_source = LayoutSource::Probed;
  std::string found_by;  // how the main arena was found, for people

  GrowingArray<Block> blocks;
  BlockIndex index;
  PointerWords pointers;  // words of the blocks that can lead to blocks
  std::vector<Arena> arenas;
  std::vector<HeapRange> ranges;  // sorted, disjoint
  std::vector<AddrRange>
      allocator_state;  // main_arena, mp_, arena and heap headers, tcache structs: no roots. Sorted
  std::vector<AddrRange> allocator_code;  // where malloc's and free's instructions lie; empty when
                                          // unknown. Sorted, disjoint
  std::vector<AddrRange> damaged;  // parts of ranges that could not be parsed: weak roots. Sorted
  HeapTotals totals;
  std::vector<Check> checks;
  Notes notes;

  [[nodiscard]] const Block& block(BlockId id) const { return blocks[id.index()]; }
  // The block whose [begin, begin + size) holds `address`; none for headers, padding and everything
  // else.
  [[nodiscard]] BlockId block_at(Addr address) const;
};

// Throws Error (Unsupported) when another allocator serves malloc (naming it), or none that is
// understood.
[[nodiscard]] HeapModel walk_heap(const MemoryImage& image, const Symbols& symbols,
                                  const RuntimeFacts& runtime);

}  // namespace heapscan

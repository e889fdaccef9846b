// What holds a block.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/live_graph.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"

namespace heapscan {

// ---- the best word ------------------------------------------------------------------------------

// What holds a block: for lost and possible blocks, the best word that names each, or the nearest
// miss.

struct Holder {
  enum class Kind : uint8_t { Block, FreeBlock, Root };
  Kind kind = Kind::Block;
  Addr at;        // where the word lies; null for a register or a kernel-held word
  BlockId block;  // of Kind::Block and FreeBlock: the block the word lies in
  size_t root =
      0;  // of Kind::Root: index into roots.ranges, or roots.ranges.size() + index into roots.words
  uint64_t into = 0;  // offset into the held block that the word points at
  bool unaligned = false;
  bool tagged = false;
};

// For each of `blocks` (sorted) the strongest holder; of equals the lowest address. Nothing where
// nothing points to it.
[[nodiscard]] std::vector<std::optional<Holder>> find_holders(const MemoryImage& image,
                                                              const HeapModel& heap,
                                                              const Roots& roots,
                                                              const Reachability& reach,
                                                              std::span<const BlockId> blocks);

// Where the pointer is: "block 0x… (+0x18), which is leaked itself", "freed block 0x… (+0x18)",
// "stack of thread 12 at 0x…", "register rbx of thread 9", "libfoo.so data at 0x…".
[[nodiscard]] std::string describe_place(const Holder& holder, const MemoryImage& image,
                                         const HeapModel& heap, const Roots& roots,
                                         const Reachability& reach);

// Which words a stale store's are: "behind what is in use of the array 0x…", "of 0x…, 94 %
// of whose pointers lead to freed memory".
[[nodiscard]] std::string describe_words(const StaleStore& store, const HeapModel& heap);

// What is peculiar about the pointer: ", 16 bytes past its start"; empty when nothing is.
[[nodiscard]] std::string describe_pointer(const Holder& holder);

// The place, and what is peculiar.
[[nodiscard]] std::string describe(const Holder& holder, const MemoryImage& image,
                                   const HeapModel& heap, const Roots& roots,
                                   const Reachability& reach);

// ---- how a root gets at a block: the shortest chains of pointers --------------------------------

struct Path {
  RootPointer from;             // leads to the first of the blocks
  std::vector<BlockId> blocks;  // each has a pointer to the next; the last is the one asked for
};

// Shortest first, at most `most`: no two have the same last pointer, that is the same root pointer
// or the same block before the last. Empty
// for a block that is not reachable or whose pointers are not known.
[[nodiscard]] std::vector<Path> shortest_paths(const LiveGraph& graph, BlockId to, size_t most);

}  // namespace heapscan

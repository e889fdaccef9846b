// Retained memory as people want to see it: who holds how much of what, alike blocks as one row.
//
// Made from the dominator tree by folding: the blocks below one row that are of one cluster are one
// row, and a block that hangs below one of its own kind is in the same row, so that a list or a tree
// of a million nodes is a row of a million blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/held_containers.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/retained.h"

namespace heapscan {

// Of the containers in the elements of an array the one with the most entries.
struct LargestContainer {
  uint64_t element = 0;
  uint64_t entries = 0;

  void see(const HeldContainers::Instance& instance) {
    const uint64_t seen = instance.entries.value_or(0);
    if (instance.element && seen > entries) *this = {*instance.element, seen};
  }
};

struct RetainedNode {
  static constexpr uint32_t kNoParent = ~uint32_t{0};
  enum class Kind : uint8_t {
    Whole,
    Owner,        // of roots: a module, a thread
    Group,        // of root words: a variable
    Shared,       // what several owners, or several roots of one owner, lead to
    Blocks,       // of one cluster, or of none: mappings, and blocks that were not clustered
    Unexplained,  // the root of what no pointer explains
    Rest,         // what was left out of the children of its parent
    // Containers at one place: in a member of the variable or the blocks that the parent is, or in
    // the values of another container; or of one kind that say themselves what they are.
    Container,
  };
  Kind kind = Kind::Whole;
  uint32_t parent = kNoParent;  // index into the nodes; parents come before children
  RootOwnerId owner;            // of Kind::Owner
  RootGroupId group;            // of Kind::Group
  ClusterId cluster;            // of Kind::Blocks
  uint64_t blocks = 0;          // of Kind::Blocks, Rest and Container: those it stands for
  uint64_t bytes = 0;           // of them
  uint64_t retained_blocks = 0;
  uint64_t retained_bytes = 0;
  bool is_least = false;  // see Retained::is_least
  bool repeats = false;   // some of the blocks hang below others of the row
  uint64_t tops = 0;      // those that do not, if any of Kind::Blocks
  // Of Kind::Container, and of a variable that is a container itself.
  uint32_t place = kNoPlace;  // index into HeldContainers::places
  static constexpr uint32_t kNoPlace = ~uint32_t{0};
  uint64_t containers = 0;    // so many that have blocks
  uint64_t entries = 0;       // in all of them
  bool knows_entries = true;  // of each of them
  LargestContainer largest;
  // Of Kind::Blocks: of those below nothing of the row, what retains most; of equals the lowest.
  BlockId example;
};

// Whose memory is asked for: nothing valid means the whole.
struct RetainedBy {
  RootOwnerId owner;
  RootGroupId group;
  ClusterId cluster;  // its blocks, wherever they are
};

struct FoldOptions {
  int depth = 3;             // levels below the first node
  size_t most_children = 5;  // of one node; the others are one row
  RetainedBy by;
};

// Preorder; children by retained bytes, largest first, the rest last. The first node is the whole,
// or what was asked for. `containers` are those of the tree, if they were looked for.
[[nodiscard]] std::vector<RetainedNode> fold_retained(const MemoryImage& image,
                                                      const HeapModel& heap,
                                                      const Clusters& clusters,
                                                      const Retained& retained,
                                                      const FoldOptions& options = {},
                                                      const HeldContainers& containers = {});

// A variable or another group of root words; or blocks that several of them share.
struct LargeHolder {
  RetainedRow row = Retained::kWhole;  // of several blocks the one that retains most
  uint64_t alike = 1;  // blocks of one cluster, else of one size, or mappings; of one owner or none
  uint64_t blocks = 0;  // retained by all of them
  uint64_t bytes = 0;
};

// What retains most, largest first, at most `most`. None of them retains another one.
[[nodiscard]] std::vector<LargeHolder> largest_holders(const MemoryImage& image,
                                                       const HeapModel& heap,
                                                       const Clusters& clusters,
                                                       const Retained& retained, size_t most);

// What of a holder lies in containers at one place, or of one kind.
struct HeldShare {
  uint32_t place = RetainedNode::kNoPlace;  // index into HeldContainers::places
  uint64_t bytes = 0;                       // with all that its entries hold alone
  uint64_t containers = 0;                  // so many that have blocks
  std::optional<uint64_t> entries = 0;      // in all of them; none: not known of each
  LargestContainer largest;
};

// Of each of the holders all such shares, largest first. What lies below a container in one of its entries
// counts for it. Calls f(block, which holder, place) for each block below a holder; place is none outside
// containers.
using BlockHeld = std::function<void(BlockId block, size_t holder, uint32_t place)>;
[[nodiscard]] std::vector<std::vector<HeldShare>> container_shares(
    const MemoryImage& image, const HeapModel& heap, const Retained& retained,
    const HeldContainers& containers, std::span<const RetainedRow> holders,
    const BlockHeld& f = {});

}  // namespace heapscan

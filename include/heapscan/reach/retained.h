// What would be freed with what: for every root and every reachable block, the memory that is
// reachable through it alone.
//
// Made by find_retained(). The roots' words are grouped by whoever knows names (one group per
// variable, per thread's stack, …), and groups belong to owners (a module, a thread). The rows are
// the dominator tree of all that: a row keeps alive what lies below it, and nothing else does. A
// block that two groups of one owner lead to lies below the owner; one that two owners lead to,
// below the whole. Words of passing groups (a stack's slots and registers that nobody names: copies
// that the compiler has made, or forgotten ones) count only for what no other group leads to: else a
// stray copy of a pointer into a tree would make the whole tree shared. Bytes are those of
// held_bytes().
//
// Many blocks of a program lead to no other: leaves, below which nothing lies. They have no
// sums, and come behind all other rows; among them are numbers that are no row. Costs 4 bytes per
// block when done, and 21 per reachable one that is no leaf; 24 while it is made.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heapscan/base/growing_array.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/live_graph.h"

namespace heapscan {

using RootGroupId = Id<struct RootGroupTag>;
using RootOwnerId = Id<struct RootOwnerTag>;
using RetainedRow = uint32_t;

struct RootGroups {
  std::vector<RootGroupId> group_of;          // one per root pointer of the graph
  Column<RootGroupId, RootOwnerId> owner_of;  // its ids are below `owners`
  Column<RootGroupId, uint8_t> is_passing;    // empty: none is

  [[nodiscard]] bool passes(RootGroupId group) const {
    return group.index() < is_passing.size() && is_passing[group] != 0;
  }
  size_t owners = 0;
};

class Retained {
 public:
  static constexpr RetainedRow kWhole = 0;

  // All rows are below it. Every number below first_leaf() is one.
  [[nodiscard]] size_t size() const { return first_leaf() + above_leaf_.size(); }
  [[nodiscard]] size_t first_leaf() const { return node_.size(); }
  // Calls f(row) for each row, parents before what lies below them.
  template <typename F>
  void for_each_row(F&& f) const {
    for (size_t row = 0; row < first_leaf(); ++row) f(static_cast<RetainedRow>(row));
    for (size_t i = 0; i < above_leaf_.size(); ++i) {
      if (above_leaf_[i] != 0) f(static_cast<RetainedRow>(first_leaf() + i));
    }
  }
  // What keeps it alive: every way to it leads through that one. Of kWhole: itself. Always less
  // than `row`, and no leaf.
  [[nodiscard]] RetainedRow parent(RetainedRow row) const {
    return is_leaf(row) ? above_leaf_[row - first_leaf()] - 1 : parent_[row];
  }
  // Of the row and all below it. Bytes of a leaf are those of its block.
  [[nodiscard]] uint64_t bytes(RetainedRow row, const MemoryImage& image,
                               const HeapModel& heap) const;
  [[nodiscard]] uint64_t blocks(RetainedRow row) const {
    return is_leaf(row) ? (block(row).valid() ? 1 : 0) : blocks_[row];
  }
  // Of everything.
  [[nodiscard]] uint64_t bytes() const { return bytes_[kWhole]; }
  [[nodiscard]] uint64_t blocks() const { return blocks_[kWhole]; }
  // Something in it has an ambiguous pointer to a block that is only possibly reachable: it may
  // keep more alive than that.
  [[nodiscard]] bool is_least(RetainedRow row) const {
    return is_leaf(row) ? block(row).valid() && leads_to_possible_.test(block(row))
                        : is_least_[row] != 0;
  }

  // What the row is: exactly one of the three is valid, but for kWhole and the row of what no
  // pointer explains, where none is.
  [[nodiscard]] BlockId block(RetainedRow row) const {
    return node(row) < first_group_ ? BlockId(node(row)) : BlockId::none();
  }
  [[nodiscard]] RootGroupId group(RetainedRow row) const {
    return node(row) >= first_group_ && node(row) < first_owner_
               ? RootGroupId(node(row) - first_group_)
               : RootGroupId::none();
  }
  [[nodiscard]] RootOwnerId owner(RetainedRow row) const {
    return node(row) >= first_owner_ && node(row) < unexplained_
               ? RootOwnerId(node(row) - first_owner_)
               : RootOwnerId::none();
  }
  [[nodiscard]] bool is_unexplained(RetainedRow row) const { return node(row) == unexplained_; }

  // The row of a block; none for one that is not reachable. Looks through all rows but leaves.
  [[nodiscard]] std::optional<RetainedRow> row_of(BlockId block) const;

 private:
  friend Retained find_retained(const MemoryImage& image, const HeapModel& heap, LiveGraph& graph,
                                const RootGroups& groups);
  [[nodiscard]] bool is_leaf(RetainedRow row) const { return row >= first_leaf(); }
  [[nodiscard]] uint32_t node(RetainedRow row) const {
    return is_leaf(row) ? row - static_cast<uint32_t>(first_leaf()) : node_[row];
  }
  void add_up(const MemoryImage& image, const HeapModel& heap);

  GrowingArray<uint32_t> node_;
  GrowingArray<uint32_t> parent_;
  GrowingArray<uint64_t> bytes_;
  GrowingArray<uint32_t> blocks_;
  GrowingArray<uint8_t> is_least_;
  GrowingArray<uint32_t> above_leaf_;  // node -> 1 + the row above it, of leaves; 0: others
  BlockBitmap leads_to_possible_{0};
  uint32_t first_group_ = 0;
  uint32_t first_owner_ = 0;
  uint32_t unexplained_ = 0;
};

// Adds the nodes of groups and owners to the graph, so that it can be called once per graph.
[[nodiscard]] Retained find_retained(const MemoryImage& image, const HeapModel& heap,
                                     LiveGraph& graph, const RootGroups& groups);

// What a block counts for: its usable size. Of a mapping, which may be a reservation of gigabytes,
// only what is resident; where that is not known, what the image has of it.
[[nodiscard]] uint64_t held_bytes(const MemoryImage& image, const Block& block);

}  // namespace heapscan

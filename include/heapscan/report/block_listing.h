// The rows of `--blocks`, made one at a time: a listing of millions of blocks costs no memory for
// them.
//
// Refers to the Analysis it was made from, which must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/reach/holders.h"
#include "heapscan/reach/reachability.h"

namespace heapscan {

struct BlockRow {
  Addr address;
  uint64_t size = 0;
  Verdict verdict = Verdict::Definite;
  bool suppressed = false;
  std::string cluster;  // id of its cluster; empty when blocks of its verdict were not clustered
  std::string held_by;  // the best word that names it; empty when nothing does, or when it was not
                        // looked for
};

// Holders are looked for of lost and possible blocks only, and of no more than these: lost ones
// first, by address.
constexpr size_t kMostHolders = size_t{1} << 20;

// Blocks and what holds each.
struct HolderTable {
  std::vector<BlockId> blocks;  // sorted
  std::vector<std::optional<Holder>> holders;

  // Null when the block is not in the table or nothing holds it.
  [[nodiscard]] const Holder* of(BlockId block) const;
};

class BlockListing {
 public:
  struct Filter {
    VerdictSet verdicts;  // which blocks
    uint64_t min_size = 0;
    uint64_t max_size = ~uint64_t{0};
    ClusterId cluster;                // only blocks of this one; none: of any and of none
    bool suppressed_as_well = false;  // otherwise suppressed blocks are left out

    // `of` is the block's cluster; asked for only where it matters.
    [[nodiscard]] bool admits(const Analysis& analysis, BlockId id, ClusterId of) const;
    [[nodiscard]] bool admits(const Analysis& analysis, BlockId id) const;

   private:
    [[nodiscard]] bool admits_block(const Analysis& analysis, BlockId id) const;
  };

  BlockListing() = default;  // without rows
  BlockListing(const Analysis& analysis, const Filter& filter, HolderTable holders);

  // f(row) for every row, in the order of addresses. The row is valid during the call.
  void for_each(const std::function<void(const BlockRow&)>& f) const;

 private:
  const Analysis* analysis_ = nullptr;
  Filter filter_;
  HolderTable holders_;
};

}  // namespace heapscan

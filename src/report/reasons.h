// Why a block is lost or possible, in sentences.
#pragma once

#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/block_listing.h"
#include "report/groups.h"

namespace heapscan {

// How many members of a group are looked at more closely.
constexpr size_t kMembersExplained = 5;

// Looks up what holds each of `blocks` (any order, repetitions allowed).
[[nodiscard]] HolderTable look_up_holders(const Analysis& analysis, std::vector<BlockId> blocks);

[[nodiscard]] std::vector<std::string> explain_group(const Analysis& analysis,
                                                     const BlockGroup& group,
                                                     const HolderTable& holders);

// Of one block that is not reachable: what refers to it, and how it was judged.
[[nodiscard]] std::vector<std::string> explain_single(const Analysis& analysis, BlockId block);

[[nodiscard]] std::string explain_mapping(const Analysis& analysis, BlockId mapping,
                                          const HolderTable& holders);

}  // namespace heapscan

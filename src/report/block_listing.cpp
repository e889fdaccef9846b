#include "heapscan/report/block_listing.h"

#include <algorithm>

#include "heapscan/base/text.h"
#include "heapscan/report/names.h"

namespace heapscan {

const Holder* HolderTable::of(BlockId block) const {
  const auto at = std::lower_bound(blocks.begin(), blocks.end(), block);
  if (at == blocks.end() || *at != block) return nullptr;
  const auto& holder = holders[static_cast<size_t>(at - blocks.begin())];
  return holder ? &*holder : nullptr;
}

bool BlockListing::Filter::admits_block(const Analysis& analysis, BlockId id) const {
  const Block& block = analysis.heap.block(id);
  return block.state() == BlockState::Used && verdicts.has(analysis.reach.verdict(id)) &&
         block.size() >= min_size && block.size() <= max_size &&
         (suppressed_as_well || !analysis.suppressed.has(id));
}

bool BlockListing::Filter::admits(const Analysis& analysis, BlockId id, ClusterId of) const {
  return (!cluster.valid() || of == cluster) && admits_block(analysis, id);
}

bool BlockListing::Filter::admits(const Analysis& analysis, BlockId id) const {
  return admits_block(analysis, id) && (!cluster.valid() || analysis.clusters.of(id) == cluster);
}

BlockListing::BlockListing(const Analysis& analysis, const Filter& filter, HolderTable holders)
    : analysis_(&analysis), filter_(filter), holders_(std::move(holders)) {}

void BlockListing::for_each(const std::function<void(const BlockRow&)>& f) const {
  if (analysis_ == nullptr) return;
  const Analysis& analysis = *analysis_;
  BlockRow row;
  for (size_t i = 0; i < analysis.reach.verdicts.size(); ++i) {
    const BlockId id(i);
    const ClusterId cluster = analysis.clusters.of(id);
    if (!filter_.admits(analysis, id, cluster)) continue;
    const Block& block = analysis.heap.block(id);
    row.address = block.begin();
    row.size = block.size();
    row.verdict = analysis.reach.verdict(id);
    row.suppressed = analysis.suppressed.has(id);
    row.cluster = cluster.valid() ? id_of(analysis, cluster) : std::string();
    const Holder* const holder = holders_.of(id);
    row.held_by = holder == nullptr
                      ? std::string()
                      : escaped(heapscan::describe(*holder, analysis.image, analysis.heap,
                                                   analysis.roots, analysis.reach));
    f(row);
  }
}

}  // namespace heapscan

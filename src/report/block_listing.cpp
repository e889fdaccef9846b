#include "heapscan/report/block_listing.h"

#include <algorithm>
#include <array>

#include "heapscan/base/text.h"
#include "report/groups.h"

namespace heapscan {

namespace {

// group_id() of the blocks of one listing, most of which are of few sizes.
class GroupIds {
 public:
  const std::string& of(Verdict verdict, uint64_t size) {
    Entry& entry = entries_[(size / 16 + static_cast<uint64_t>(verdict)) % entries_.size()];
    if (entry.id.empty() || entry.verdict != verdict || entry.size != size) {
      entry = {verdict, size, group_id(verdict, size)};
    }
    return entry.id;
  }

 private:
  struct Entry {
    Verdict verdict = Verdict::NotJudged;
    uint64_t size = 0;
    std::string id;
  };
  std::array<Entry, 256> entries_;
};

}  // namespace

const Holder* HolderTable::of(BlockId block) const {
  const auto at = std::lower_bound(blocks.begin(), blocks.end(), block);
  if (at == blocks.end() || *at != block) return nullptr;
  const auto& holder = holders[static_cast<size_t>(at - blocks.begin())];
  return holder ? &*holder : nullptr;
}

BlockListing::BlockListing(const Analysis& analysis, const Filter& filter, HolderTable holders)
    : analysis_(&analysis), filter_(filter), holders_(std::move(holders)) {}

void BlockListing::for_each(const std::function<void(const BlockRow&)>& f) const {
  if (analysis_ == nullptr) return;
  const Analysis& analysis = *analysis_;
  GroupIds ids;
  BlockRow row;
  for (size_t i = 0; i < analysis.reach.verdicts.size(); ++i) {
    const BlockId id(i);
    const Block& block = analysis.heap.block(id);
    const Verdict verdict = analysis.reach.verdict(id);
    if (!filter_.admits(block, verdict)) continue;
    row.address = block.begin();
    row.size = block.size();
    row.verdict = verdict;
    row.cluster = filter_.grouped.has(verdict) ? ids.of(verdict, block.size()) : std::string();
    const Holder* const holder = holders_.of(id);
    row.held_by = holder == nullptr
                      ? std::string()
                      : escaped(heapscan::describe(*holder, analysis.image, analysis.heap,
                                                   analysis.roots, analysis.reach));
    f(row);
  }
}

}  // namespace heapscan

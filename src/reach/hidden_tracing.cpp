// Words hidden in blocks that are not held count as soon as those are. Mostly that are few blocks,
// which are searched when they have become held, a few times over. What then still goes on is a chain
// of such words: they are looked for once, in all that is left, and the marker takes them for words of
// their blocks, so that it is one walk, however long it is.
#include "reach/hidden_tracing.h"

#include <algorithm>
#include <utility>

namespace heapscan {

namespace {

constexpr int kMostHiddenRounds = 4;

std::vector<uint64_t> values_of(const std::vector<HiddenPointer>& found) {
  std::vector<uint64_t> values;
  for (const HiddenPointer& hidden : found) values.push_back(hidden.value);
  return values;
}

}  // namespace

void HiddenTracing::mark(const BlockBitmap& judged, const BlockBitmap& unheld,
                         const std::function<void(const std::vector<uint64_t>&)>& follow) {
  candidates_ = BlockBitmap(unheld);
  std::vector<HiddenPointer> found = find(roots_, without(judged, unheld));
  note(found);
  std::vector<uint64_t> addresses = values_of(found);
  for (const HiddenWord& hidden : find_hidden_words(heap_, candidates_, roots_.words)) {
    addresses.push_back(hidden.value);
    reasons_.emplace_back(heap_.block_at(Addr(hidden.value)), Reason::Tagged);
  }
  for (int round = 0; !addresses.empty() && round < kMostHiddenRounds; ++round) {
    const BlockBitmap before(unheld);
    follow(addresses);
    found = find(Roots(), without(before, unheld));
    note(found);
    addresses = values_of(found);
  }
  if (!addresses.empty()) {
    std::vector<HiddenPointer> within = find(Roots(), unheld);
    std::sort(within.begin(), within.end(),
              [](const HiddenPointer& a, const HiddenPointer& b) { return a.at < b.at; });
    marker_.set_hidden(within);
    follow(addresses);
    marker_.set_hidden({});
    std::erase_if(within, [&](const HiddenPointer& hidden) {
      const BlockId holder = heap_.block_at(hidden.at);
      return !holder.valid() || unheld.test(holder);
    });
    note(within);
  }
  settle();
}

std::vector<HiddenPointer> HiddenTracing::find(const Roots& roots,
                                               const BlockBitmap& searched) const {
  return find_hidden_pointers(image_, heap_, candidates_,
                              places_to_search(image_, heap_, roots, searched));
}

void HiddenTracing::note(const std::vector<HiddenPointer>& found) {
  for (const HiddenPointer& hidden : found) {
    const BlockId block = heap_.block_at(Addr(hidden.value));
    reasons_.emplace_back(block, hidden.tagged ? Reason::Tagged : Reason::Unaligned);
    names_.push_back({block, hidden.tagged, hidden.at});
  }
}

void HiddenTracing::settle() {
  std::sort(reasons_.begin(), reasons_.end());
  reasons_.erase(std::unique(reasons_.begin(), reasons_.end(),
                             [](const auto& a, const auto& b) { return a.first == b.first; }),
                 reasons_.end());
  std::sort(names_.begin(), names_.end());
  names_.erase(std::unique(names_.begin(), names_.end(),
                           [](const auto& a, const auto& b) { return a.block == b.block; }),
               names_.end());
}

std::optional<Reason> HiddenTracing::reason_of(BlockId block) const {
  const auto at = std::lower_bound(reasons_.begin(), reasons_.end(), block,
                                   [](const auto& row, BlockId id) { return row.first < id; });
  return at != reasons_.end() && at->first == block ? std::optional(at->second) : std::nullopt;
}

std::optional<HiddenName> HiddenTracing::name_of(BlockId block) const {
  const auto at = std::lower_bound(names_.begin(), names_.end(), block,
                                   [](const auto& row, BlockId id) { return row.block < id; });
  return at != names_.end() && at->block == block ? std::optional(*at) : std::nullopt;
}

}  // namespace heapscan

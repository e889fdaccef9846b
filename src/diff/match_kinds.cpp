#include "diff/match_kinds.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace heapscan {

namespace {

class KindMatcher {
 public:
  KindMatcher(const Fingerprints& before, const Fingerprints& after)
      : before_(before), after_(after), partner_(before.size()), is_taken_(after.size()) {}

  void match_ids() {
    std::unordered_map<uint64_t, ClusterId> by_id;
    for (size_t i = 0; i < after_.size(); ++i) by_id.emplace(after_[ClusterId(i)], ClusterId(i));
    for (size_t i = 0; i < before_.size(); ++i) {
      const auto same = by_id.find(before_[ClusterId(i)]);
      if (same != by_id.end()) pair(ClusterId(i), same->second);
    }
  }

  // Most survivors first. More than half of one side's must be in the other.
  void match_survivors(std::vector<Survivors> survivors) {
    std::sort(survivors.begin(), survivors.end(), [](const Survivors& a, const Survivors& b) {
      return std::tuple(b.blocks, a.before, a.after) < std::tuple(a.blocks, b.before, b.after);
    });
    Column<ClusterId, uint64_t> from(before_.size());
    Column<ClusterId, uint64_t> to(after_.size());
    for (const Survivors& row : survivors) {
      from[row.before] += row.blocks;
      to[row.after] += row.blocks;
    }
    for (const Survivors& row : survivors) {
      const bool agree = 2 * row.blocks > from[row.before] || 2 * row.blocks > to[row.after];
      if (agree && !partner_[row.before].valid() && !is_taken_[row.after])
        pair(row.before, row.after);
    }
  }

  [[nodiscard]] std::vector<KindPair> pairs() const {
    std::vector<KindPair> result;
    for (size_t i = 0; i < partner_.size(); ++i)
      result.push_back({ClusterId(i), partner_[ClusterId(i)]});
    for (size_t i = 0; i < is_taken_.size(); ++i) {
      if (!is_taken_[ClusterId(i)]) result.push_back({ClusterId::none(), ClusterId(i)});
    }
    return result;
  }

 private:
  void pair(ClusterId before, ClusterId after) {
    partner_[before] = after;
    is_taken_[after] = 1;
  }

  const Fingerprints& before_;
  const Fingerprints& after_;
  Column<ClusterId, ClusterId> partner_;
  Column<ClusterId, uint8_t> is_taken_;
};

}  // namespace

std::vector<KindPair> match_kinds(const Fingerprints& before, const Fingerprints& after,
                                  std::vector<Survivors> survivors) {
  KindMatcher matcher(before, after);
  matcher.match_ids();
  matcher.match_survivors(std::move(survivors));
  return matcher.pairs();
}

}  // namespace heapscan

#include "reach/root_collector.h"

#include <algorithm>

namespace heapscan {

namespace {

AddrRange whole_words(AddrRange range) {
  return {range.begin().align_up(8), range.end().align_down(8)};
}

}  // namespace

void RootCollector::add(const RootRange& like) {
  for (const AddrRange& part : claim(whole_words(like.range))) {
    RootRange range = like;
    range.range = part;
    roots_.ranges.push_back(range);
  }
}

void RootCollector::add_diagnostic(const RootRange& range) {
  RootRange words = range;
  words.range = whole_words(range.range);
  if (!words.range.empty()) roots_.ranges.push_back(words);
}

std::vector<AddrRange> RootCollector::claim(AddrRange range) {
  std::vector<AddrRange> free;
  if (range.empty()) return free;
  auto next = claimed_.upper_bound(range.begin());
  if (next != claimed_.begin() && std::prev(next)->second >= range.begin()) --next;
  Addr at = range.begin();
  AddrRange joined = range;
  while (next != claimed_.end() && next->first <= range.end()) {
    if (at < next->first) free.emplace_back(at, next->first);
    at = std::max(at, next->second);
    joined = {std::min(joined.begin(), next->first), std::max(joined.end(), next->second)};
    next = claimed_.erase(next);
  }
  if (at < range.end()) free.emplace_back(at, range.end());
  claimed_.emplace(joined.begin(), joined.end());
  return free;
}

Roots RootCollector::take() {
  std::stable_sort(roots_.ranges.begin(), roots_.ranges.end(),
                   [](const RootRange& a, const RootRange& b) { return a.range < b.range; });
  return std::move(roots_);
}

}  // namespace heapscan

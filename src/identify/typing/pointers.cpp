// The type is the one that most targets are known to have. Targets of which nothing is known must
// be able to be of it, too.
#include "identify/typing/pointers.h"

#include <algorithm>
#include <utility>

namespace heapscan {

namespace {

constexpr size_t kFewestKnown = 4;

using Tally = std::vector<std::pair<TypeId, size_t>>;

void count(Tally& tally, TypeId type) {
  for (auto& [known, times] : tally) {
    if (known == type) {
      ++times;
      return;
    }
  }
  tally.emplace_back(type, 1);
}

}  // namespace

TypeId common_pointee(Checker& checker, const std::vector<Words>& samples) {
  Tally tally;
  std::vector<const WordFact*> pointers;
  size_t others = 0;
  size_t known = 0;
  for (const Words& sample : samples) {
    for (size_t w = 0; w + 1 < sample.facts.size() || w == 0; ++w) {
      const WordFact& fact = sample.facts[w];
      if (fact.kind == WordKind::FreeBlock || fact.value == 0) continue;
      if (fact.kind != WordKind::BlockStart) {
        ++others;
        continue;
      }
      pointers.push_back(&fact);
      const TypeId type = checker.beliefs().of(fact);
      if (!type.valid()) continue;
      ++known;
      count(tally, type);
    }
  }
  if (known < kFewestKnown || others * 20 > pointers.size()) return TypeId::none();
  const auto most = std::max_element(
      tally.begin(), tally.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto agreeing = std::count_if(pointers.begin(), pointers.end(), [&](const WordFact* fact) {
    return checker.may_point_at(most->first, *fact);
  });
  return static_cast<size_t>(agreeing) * 20 >= pointers.size() * 19 ? most->first : TypeId::none();
}

}  // namespace heapscan

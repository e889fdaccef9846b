#include "diff/match_kinds.h"

#include <gtest/gtest.h>

namespace heapscan {
namespace {

// Clusters with these ids.
Fingerprints look(std::initializer_list<uint64_t> ids) {
  Fingerprints fingerprints;
  for (const uint64_t id : ids) fingerprints.push_back(id);
  return fingerprints;
}

// Of each cluster before, its partner; then those that are new.
std::vector<std::pair<int, int>> pairs(const Fingerprints& before, const Fingerprints& after,
                                       std::vector<Survivors> survivors = {}) {
  const auto number = [](ClusterId id) { return id.valid() ? static_cast<int>(id.index()) : -1; };
  std::vector<std::pair<int, int>> result;
  for (const KindPair& pair : match_kinds(before, after, std::move(survivors)))
    result.emplace_back(number(pair.before), number(pair.after));
  return result;
}

using Pairs = std::vector<std::pair<int, int>>;

TEST(MatchKinds, OfOneIdAreOneKind) {
  EXPECT_EQ(pairs(look({7, 8, 9}), look({9, 7})), (Pairs{{0, 1}, {1, -1}, {2, 0}}));
}

TEST(MatchKinds, WhatIsOnlyThereAfterwardsIsNew) {
  EXPECT_EQ(pairs(look({7}), look({9, 7})), (Pairs{{0, 1}, {-1, 0}}));
}

// A kind that grew may look different as a whole; its old blocks are still there.
TEST(MatchKinds, BlocksThatStayedTellWhichKindIsWhich) {
  const Fingerprints before = look({7, 8});
  const Fingerprints after = look({9, 8});
  EXPECT_EQ(
      pairs(before, after, {{ClusterId(0), ClusterId(0), 90}, {ClusterId(0), ClusterId(1), 5}}),
      (Pairs{{0, 0}, {1, 1}}));
}

TEST(MatchKinds, FewBlocksThatStayedTellNothing) {
  const Fingerprints before = look({7, 8});
  const Fingerprints after = look({9, 10});
  EXPECT_EQ(pairs(before, after,
                  {{ClusterId(0), ClusterId(0), 40},
                   {ClusterId(0), ClusterId(1), 60},
                   {ClusterId(1), ClusterId(0), 70}}),
            (Pairs{{0, 1}, {1, 0}}));
}

}  // namespace
}  // namespace heapscan

// What it says of a call that the source assigns its result to a pointer of some type.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <utility>

#include "heapscan/identify/clusters.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/sites/match_sites.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

// For the blocks of one cluster. Refers to all that it is made of.
class ResultOdds {
 public:
  ResultOdds(const Types& types, const Identity& identity, Shape shape, const CallSites& sites,
             std::span<const SiteMatch> candidates);

  // Natural logarithm of how much likelier the site is by that; nothing where it is not known what the
  // source says, or what the blocks are.
  [[nodiscard]] std::optional<double> weight_of(CallSiteId site) const;

 private:
  using Result = std::pair<TypeKind, TypeId>;
  [[nodiscard]] std::optional<double> chance_of(const SiteResult& result) const;
  [[nodiscard]] double chance_of_record(TypeId record) const;
  [[nodiscard]] bool are_related(TypeId a, TypeId b) const;
  [[nodiscard]] bool begins_with(TypeId outer, TypeId inner) const;

  const Types& types_;
  const Identity& identity_;
  Shape shape_;
  const CallSites& sites_;
  TypeId record_;            // that the blocks are, or an array of
  TypeId pointed_at_;        // by all of the blocks, which are arrays of pointers
  int best_score_ = 0;       // of the types that fit
  double fitting_odds_ = 0;  // of all of them, the best having 1
  std::map<Result, double> weights_;
};

}  // namespace heapscan

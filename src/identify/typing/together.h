// Clusters whose types depend on each other.
//
// What a pointer says depends on what is known of the block it leads to; where two clusters lead to
// each other, or one struct has fallen into several clusters, each waits for the other. So a type
// is assumed of one cluster, with all that follows for those around it, and what then speaks for it
// is held against what speaks for the others, each with its own consequences.
#pragma once

#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "identify/typing/check.h"
#include "identify/typing/fit.h"

namespace heapscan {

class Together {
 public:
  Together(Checker& checker, const Catalogue& catalogue);

  // The candidates of a cluster, each with what follows from it; best first.
  [[nodiscard]] std::vector<Candidate> rank(ClusterId cluster);

  static constexpr size_t kMostAssumed = 16;    // clusters
  static constexpr size_t kMostCandidates = 8;  // of a cluster that are followed

 private:
  using Assumed = std::unordered_map<uint32_t, TypeId>;
  struct Pointer {
    ClusterId to;
    uint64_t offset = 0;
  };
  [[nodiscard]] const std::vector<Words>& words_of(ClusterId cluster);
  // The clusters that blocks of this one lead to, and from which place.
  [[nodiscard]] const std::vector<Pointer>& pointers_of(ClusterId cluster);
  [[nodiscard]] Assumed consequences(ClusterId cluster, TypeId type);
  void follow(ClusterId from, TypeId type, Assumed& assumed, std::vector<ClusterId>& open);
  void look_back(ClusterId to, TypeId type, Assumed& assumed, std::vector<ClusterId>& open);
  void assume(ClusterId cluster, TypeId type, Assumed& assumed, std::vector<ClusterId>& open);
  [[nodiscard]] bool may_be(ClusterId cluster, TypeId type) const;
  [[nodiscard]] std::optional<Candidate> weigh_with(ClusterId cluster, TypeId type);

  Checker& checker_;
  const Catalogue& catalogue_;
  std::unordered_map<uint32_t, std::vector<Words>> words_;
  std::unordered_map<uint32_t, std::vector<Pointer>> pointers_;
  std::unordered_map<uint32_t, std::vector<ClusterId>> from_;  // clusters that lead to one
};

}  // namespace heapscan

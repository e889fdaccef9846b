// What is known of the types of clusters, how it spreads from one to the other, and clusters whose
// types depend on each other.
//
// What a pointer says depends on what is known of the block it leads to; where two clusters lead to
// each other, or one struct has fallen into several clusters, each waits for the other. So a type
// is assumed of one cluster, with all that follows for those around it, and what then speaks for it
// is held against what speaks for the others, each with its own consequences.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "identify/typing/checker.h"
#include "identify/typing/extent.h"
#include "identify/typing/fit_types.h"
#include "identify/typing/live_types.h"
#include "identify/typing/tags.h"

namespace heapscan {

// The samples of a cluster as values of one type.
struct ClusterExtent {
  TypeId type;
  bool is_array = false;
  uint64_t count = 1;  // 0: it differs
  uint32_t samples = 0;
  uint32_t agreeing = 0;
};
// Nothing unless nearly all samples can be of the type.
[[nodiscard]] std::optional<ClusterExtent> extent_of_cluster(Checker& checker, ClusterId cluster,
                                                             TypeId pointee);

// The same of blocks that begin with a header whose tag says which type they are.
[[nodiscard]] std::optional<ClusterExtent> extent_by_tag(Checker& checker, const Tags& tags,
                                                         ClusterId cluster, TypeId header);
// The same by the tag where one is known; else of the types that begin with the header the only one
// that all blocks can be.
[[nodiscard]] std::optional<ClusterExtent> extent_by_header(Checker& checker, const Tags& tags,
                                                            ClusterId cluster, TypeId header);

class ClusterTypes {
 public:
  ClusterTypes(Checker& checker, const Catalogue& catalogue, const Tags& tags, Votes votes);

  // Whether the blocks may as well be of a larger type that begins with this one.
  [[nodiscard]] bool may_be_derived(ClusterId cluster, TypeId type);
  [[nodiscard]] bool is_settled(ClusterId cluster) const {
    return checker_.beliefs().clusters[cluster].valid();
  }
  // The cluster is of that type. What is `sure` does not depend on a type that was only guessed.
  void settle(ClusterId cluster, const ClusterExtent& extent, EvidenceKind kind,
              const std::string& detail, bool sure);
  void believe(ClusterId cluster, TypeId type, bool sure);
  // From what is settled along members to other clusters, until nothing new is learnt.
  void spread();

  [[nodiscard]] Column<ClusterId, std::vector<Evidence>> take_evidence() {
    return std::move(evidence_);
  }

 private:
  void cast_votes(ClusterId from);
  void count_votes(ClusterId cluster);
  [[nodiscard]] std::vector<Candidate> rank_all(ClusterId cluster, const std::vector<Words>& words);
  [[nodiscard]] bool fits_better_than_any(ClusterId cluster, const ClusterExtent& extent);
  [[nodiscard]] bool fits_as_well_as_any(ClusterId cluster, const ClusterExtent& extent);
  [[nodiscard]] bool may_be_characters(ClusterId cluster) const;
  void take_text(ClusterId cluster, const Vote& vote);
  [[nodiscard]] std::string detail_of(const Vote& vote) const;

  Checker& checker_;
  const Catalogue& catalogue_;
  const Tags& tags_;
  const Inputs& inputs_;
  Votes votes_;
  Column<ClusterId, std::vector<Evidence>> evidence_;
  Column<ClusterId, uint8_t> sure_;
  Column<ClusterId, uint8_t> pointed_;  // has evidence of that kind
  std::vector<ClusterId> fresh_;        // settled, and not followed yet
  std::vector<ClusterId> asked_;        // have new votes
};

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

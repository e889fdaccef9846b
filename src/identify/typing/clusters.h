// What is known of the types of clusters, and how it spreads from one to the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "identify/typing/check.h"
#include "identify/typing/extent.h"
#include "identify/typing/fit.h"
#include "identify/typing/live.h"
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

}  // namespace heapscan

// What is known of the types of families, how it spreads from one to the other, and families whose
// types depend on each other.
//
// What a pointer says depends on what is known of the block it leads to; where two families lead to
// each other, or one struct has fallen into several families, each waits for the other. So a type
// is assumed of one family, with all that follows for those around it, and what then speaks for it
// is held against what speaks for the others, each with its own consequences.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "identify/typing/agreements.h"
#include "identify/typing/checker.h"
#include "identify/typing/extent.h"
#include "identify/typing/fit_types.h"
#include "identify/typing/live_types.h"

namespace heapscan {

// The samples of a family as values of one type.
struct FamilyExtent {
  TypeId type;
  bool is_array = false;
  uint64_t count = 1;  // 0: it differs
  uint32_t samples = 0;
  uint32_t agreeing = 0;
};
// Nothing unless nearly all samples can be of the type.
[[nodiscard]] std::optional<FamilyExtent> extent_of_family(Checker& checker, FamilyId family,
                                                           TypeId pointee);

// The same of blocks that begin with a header whose tag says which type they are.
[[nodiscard]] std::optional<FamilyExtent> extent_by_tag(Checker& checker, const Tags& tags,
                                                        FamilyId family, TypeId header);
// The same by the tag where one is known; else of the types that begin with the header the only one
// that all blocks can be.
[[nodiscard]] std::optional<FamilyExtent> extent_by_header(Checker& checker, const Tags& tags,
                                                           FamilyId family, TypeId header);

class FamilyTypes {
 public:
  FamilyTypes(Checker& checker, const Catalogue& catalogue, const Tags& tags, Votes votes);

  // Whether the blocks may as well be of a larger type that begins with this one.
  [[nodiscard]] bool may_be_derived(FamilyId family, TypeId type);
  [[nodiscard]] bool is_settled(FamilyId family) const {
    return checker_.beliefs().families[family].valid();
  }
  // The family is of that type. What is `sure` does not depend on a type that was only guessed.
  void settle(FamilyId family, const FamilyExtent& extent, EvidenceKind kind,
              const std::string& detail, bool sure);
  void believe(FamilyId family, TypeId type, bool sure);
  // From what is settled along members to other families, until nothing new is learnt.
  void spread();

  [[nodiscard]] Column<FamilyId, std::vector<Evidence>> take_evidence() {
    return std::move(evidence_);
  }

 private:
  void cast_votes(FamilyId from);
  void count_votes(FamilyId family);
  [[nodiscard]] std::vector<Candidate> rank_all(FamilyId family, const std::vector<Words>& words);
  [[nodiscard]] bool fits_better_than_any(FamilyId family, const FamilyExtent& extent);
  [[nodiscard]] bool fits_as_well_as_any(FamilyId family, const FamilyExtent& extent);
  [[nodiscard]] bool may_be_characters(FamilyId family) const;
  void take_text(FamilyId family, const Vote& vote);
  [[nodiscard]] std::string detail_of(const Vote& vote) const;

  Checker& checker_;
  const Catalogue& catalogue_;
  const Tags& tags_;
  const Inputs& inputs_;
  Votes votes_;
  Column<FamilyId, std::vector<Evidence>> evidence_;
  Column<FamilyId, uint8_t> sure_;
  Column<FamilyId, uint8_t> pointed_;  // has evidence of that kind
  std::vector<FamilyId> fresh_;        // settled, and not followed yet
  std::vector<FamilyId> asked_;        // have new votes
};

class Together {
 public:
  Together(Checker& checker, const Catalogue& catalogue);

  // The candidates of a family, each with what follows from it; best first.
  [[nodiscard]] std::vector<Candidate> rank(FamilyId family);

  static constexpr size_t kMostAssumed = 16;    // families
  static constexpr size_t kMostCandidates = 8;  // of a family that are followed

 private:
  using Assumed = std::unordered_map<uint32_t, TypeId>;
  struct Pointer {
    FamilyId to;
    uint64_t offset = 0;
  };
  [[nodiscard]] const std::vector<Words>& words_of(FamilyId family);
  // The families that blocks of this one lead to, and from which place.
  [[nodiscard]] const std::vector<Pointer>& pointers_of(FamilyId family);
  [[nodiscard]] Assumed consequences(FamilyId family, TypeId type);
  void follow(FamilyId from, TypeId type, Assumed& assumed, std::vector<FamilyId>& open);
  void look_back(FamilyId to, TypeId type, Assumed& assumed, std::vector<FamilyId>& open);
  void assume(FamilyId family, TypeId type, Assumed& assumed, std::vector<FamilyId>& open);
  [[nodiscard]] bool may_be(FamilyId family, TypeId type) const;
  [[nodiscard]] std::optional<Candidate> weigh_with(FamilyId family, TypeId type);

  Checker& checker_;
  const Catalogue& catalogue_;
  std::unordered_map<uint32_t, std::vector<Words>> words_;
  std::unordered_map<uint32_t, std::vector<Pointer>> pointers_;
  std::unordered_map<uint32_t, std::vector<FamilyId>> from_;  // families that lead to one
};

}  // namespace heapscan

// Families of blocks of different sizes that are one kind: one thing in many sizes, or one size but
// for 16 bytes that malloc did not split off.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "identify/families/family_traits.h"

namespace heapscan {

// Two families, or a group and a family, that are one kind.
struct Joined {
  uint32_t family = 0;
  uint32_t with = 0;
};

// The records of one size that are one family.
struct SizedFamily {
  uint32_t family = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;
  const FamilyTraits* traits = nullptr;
};

// Each family of blocks that are kLeftOver larger with the one they belong to. The order of
// `families` decides between what agrees alike.
[[nodiscard]] std::vector<Joined> find_rests(std::span<const SizedFamily> families);

// Groups of such larger blocks within a family that is another kind, of which all blocks are so
// large.
class StrayRests {
 public:
  // `usual`: the families of the size that is kLeftOver smaller.
  explicit StrayRests(std::vector<SizedFamily> usual);

  // `own_agreement`: with the family the group is in.
  void look_at(uint32_t group, const FamilyTraits& traits, uint64_t blocks, float own_agreement);
  // The groups that are strays, each with the family of `usual` that it belongs to.
  [[nodiscard]] std::vector<Joined> found() const;

 private:
  struct Strays {
    std::vector<uint32_t> groups;
    uint64_t blocks = 0;
    std::optional<FamilyTraits> traits;
  };
  std::vector<SizedFamily> usual_;
  std::vector<Strays> strays_;  // by place in usual_
};

// Family -> joined family, numbered without gaps in the order of the first of each.
[[nodiscard]] std::vector<uint32_t> join_sizes(const std::vector<FamilyOutline>& families,
                                               std::span<const Joined> joined);

}  // namespace heapscan

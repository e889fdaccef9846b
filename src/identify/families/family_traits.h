// What the blocks of a growing family have at each place, and how well that agrees with another
// group's.
#pragma once

#include <array>
#include <cstdint>

#include "identify/families/signatures.h"

namespace heapscan {

// The traits seen at one place, by weight.
class TraitMixture {
 public:
  void add(const Trait& trait, float weight);
  void add(const TraitMixture& other);

  // How much better this predicts `other` than chance does, in nats; negative: worse.
  [[nodiscard]] float predicts(const TraitMixture& other) const;
  // The same for identities alone, whatever kind of word they are.
  [[nodiscard]] float names(const TraitMixture& other) const;
  // What speaks against one kind when only one side uses the place; nothing where pointers are
  // seen.
  [[nodiscard]] float use_odds(const TraitMixture& other) const;
  // The commonest kind but zero, with the identity nearly all have; zero when that is rare.
  [[nodiscard]] Trait commonest() const;
  // Nearly always used, and for one kind of word: what somebody writes, not what was left behind.
  [[nodiscard]] bool is_field() const;
  // Both name tables of functions, and none of them is the same.
  [[nodiscard]] bool names_other_tables(const TraitMixture& other) const;

 private:
  // Of the symbols and families that a word names; those of fewer blocks would not decide.
  static constexpr size_t kIdentities = 6;
  struct Named {
    uint64_t identity = 0;
    float weight = 0;
  };
  [[nodiscard]] float nonzero() const { return total_ - kinds_[0]; }
  [[nodiscard]] float weight_of(uint64_t identity) const;
  [[nodiscard]] float zero_odds(const TraitMixture& other) const;
  [[nodiscard]] float unwritten_odds(const TraitMixture& other) const;
  [[nodiscard]] float number_odds(const TraitMixture& other) const;
  [[nodiscard]] float weight_of_kinds(uint32_t kinds) const;
  [[nodiscard]] float kind_odds(const TraitMixture& other) const;
  [[nodiscard]] float identity_odds(const TraitMixture& other) const;

  std::array<float, kTraitKinds> kinds_{};
  float unwritten_ = 0;
  uint32_t seen_ = 0;  // bit per kind with weight
  float total_ = 0;
  std::array<Named, kIdentities> named_{};  // the first ones met
  uint32_t named_count_ = 0;
  float named_weight_ = 0;  // also of those that found no place
};

// A family in a few words.
struct FamilyOutline {
  Shape shape = Shape::Record;
  size_t traits = 0;
  std::array<Trait, 4> first;  // the commonest at the first places
  uint64_t owner = 0;          // of nearly all; 0: none
};

class FamilyTraits {
 public:
  FamilyTraits(const Signature& signature, uint32_t blocks);
  void add(const FamilyTraits& other);

  // In nats, the same for both directions; above 0 the two are likelier one kind than two.
  [[nodiscard]] float agreement(const FamilyTraits& other) const;
  // The same for `larger`, whose blocks have two words more: of those only the words count that
  // blocks of this size have, too.
  [[nodiscard]] float agreement_with_larger(const FamilyTraits& larger) const;
  // Whether one of the last `words` words is a field of its own.
  [[nodiscard]] bool uses_last(size_t words) const;
  [[nodiscard]] FamilyOutline outline() const;

 private:
  // How words are compared: as those of records with so many traits.
  struct Frame {
    size_t traits = 0;
    bool says_little = false;
  };
  [[nodiscard]] Frame frame() const { return {traits_, says_little_}; }
  [[nodiscard]] float predicts(const FamilyTraits& other, const Frame& frame) const;
  [[nodiscard]] float weight_of(size_t place, size_t traits) const;

  Shape shape_;
  bool says_little_;
  size_t traits_;
  std::array<TraitMixture, Signature::kFields + Signature::kTailParts> places_;
  TraitMixture owner_;
};

}  // namespace heapscan

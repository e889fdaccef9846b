// Which of all types of the program fit the blocks of a family.
//
// A lost block is one that nothing points at, so its type must be read from itself: every struct
// whose size malloc would have answered with this size of block is held against every sample. What
// contradicts is out; what is left is ordered by how much speaks for it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "identify/typing/agreements.h"
#include "identify/typing/checker.h"
#include "identify/typing/live_types.h"

namespace heapscan {

struct Candidate {
  TypeId type;
  int score = 0;             // tenths: a mean over the specimens
  int support = 0;           // members that speak for the type, likewise
  uint32_t fields = 0;       // those that are in at least half of the specimens
  uint32_t agreeing = 0;     // specimens without a contradiction
  uint32_t agreements = 0;   // members that agree with another: a count, the tag of a union
  std::string fields_named;  // "next, handler, name"
  std::string_view unset;    // the one member that holds what it cannot, as if it was never set
};

// Nothing when more than one specimen in twenty contradicts, but for one pointer among many
// members. `family` is what the specimens are of. There must be one specimen at least.
[[nodiscard]] std::optional<Candidate> weigh(Checker& checker, FamilyId family,
                                             std::span<const Specimen> specimens, TypeId type);

class Catalogue {
 public:
  Catalogue(const ModuleRoles& roles, Layouts& layouts);

  // Types whose size explains the blocks of a family: those of the commonest size, when nearly all
  // have it, those with a tail, and those that end before what the blocks' own pointers lead to.
  [[nodiscard]] std::vector<TypeId> for_family(const Inputs& inputs, const Family& family) const;
  // Types of which blocks of the family's sizes can be arrays.
  [[nodiscard]] std::vector<TypeId> elements_for(const Inputs& inputs, const Family& family,
                                                 Layouts& layouts) const;
  // Whether the type's own module must be named by its members before it is believed: where the
  // program itself is not described, or a system library is, the right type may be missing.
  [[nodiscard]] bool needs_own_module(TypeId type) const;
  // How likely it is that a block of that size is one, as a weight: parts of other types and what
  // system libraries describe are less so, what lives in such blocks is more so.
  [[nodiscard]] int prior(TypeId id, uint64_t usable) const;
  [[nodiscard]] std::vector<Sign> priors(TypeId id, uint64_t usable) const;
  // What is known as a type by its pointers may be a larger one that begins with it, and counts as
  // that, too.
  void add_live(std::span<const LiveType> live, Relatives& relatives);

 private:
  void add_before_rest(uint64_t rest, const Requests& requests, std::vector<TypeId>& found) const;
  // Nobody asks malloc for what has no name, nor for a part of the C++ library's inner works.
  [[nodiscard]] bool may_be_allocated(TypeId id) const;

  const Types& types_;
  const ModuleRoles& roles_;  // system libraries describe hundreds of structs few programs meet
  bool program_is_described_ = false;
  std::vector<TypeId> with_tail_;  // by size
  std::unordered_map<uint32_t, std::vector<uint64_t>> live_sizes_;
  std::vector<bool> is_pointed_at_;  // some pointer in the program's types leads to it
};

// Whether most samples hold a pointer into the module that describes the type.
[[nodiscard]] bool name_own_module(const Inputs& inputs, Layouts& layouts, TypeId type,
                                   const std::vector<Words>& samples);

// Whether a type that ends a whole word before the blocks do leaves something that looks like a
// field: what an earlier owner or malloc itself left there is not alike in all.
[[nodiscard]] bool leaves_fields(Checker& checker, TypeId type, const std::vector<Words>& samples);

constexpr size_t kSamplesAsked = 24;  // one in twenty of them may contradict
// The words of some of the family's samples, evenly chosen.
[[nodiscard]] std::vector<Words> sample_words(const Inputs& inputs, const Family& family,
                                              uint64_t limit);

// Those of `types` that no more than one sample in twenty contradicts, best first.
[[nodiscard]] std::vector<Candidate> rank(Checker& checker, const Catalogue& catalogue,
                                          FamilyId family, const std::vector<Words>& samples,
                                          const std::vector<TypeId>& types);
// The same for blocks that are arrays; scores are those of one element.
[[nodiscard]] std::vector<Candidate> rank_arrays(Checker& checker, const Catalogue& catalogue,
                                                 FamilyId family, const std::vector<Words>& samples,
                                                 const std::vector<TypeId>& types);

// The least that must speak for a type; see Candidate.
struct Demand {
  int score = 0;
  int support = 0;
};

// The first of `ranked`, when it meets the demand and all others are clearly worse, but for those
// that are only its first part; null otherwise. Of few samples twice as much is asked.
[[nodiscard]] const Candidate* clear_winner(Checker& checker, const std::vector<Candidate>& ranked,
                                            Demand demand, size_t samples);
// Whether blocks may well be single values, though nobody can say of which type.
[[nodiscard]] bool may_be_one(const std::vector<Candidate>& ranked);

}  // namespace heapscan

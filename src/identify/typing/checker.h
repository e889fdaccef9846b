// Whether memory can be of a type, and how much speaks for it.
//
// Every member is asked in turn. A pointer must be null or lead to what it is declared to lead to,
// a function's to code, a truth value is 0 or 1, text is text. How much each answer weighs is in
// identify/weights.h.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "heapscan/base/id.h"
#include "identify/inputs.h"
#include "identify/typing/layout.h"
#include "identify/typing/relatives.h"
#include "identify/typing/word_facts.h"

namespace heapscan {

// What is believed of blocks so far. A type here is that of the block's begin: an element's when
// the block is an array.
struct Beliefs {
  std::unordered_map<uint32_t, TypeId> blocks;   // those that typed variables lead to
  std::unordered_map<uint32_t, TypeId> assumed;  // of families, for the sake of the argument
  Column<FamilyId, TypeId> families;
  Column<FamilyId, std::vector<TypeId>> candidates;  // of families not settled

  [[nodiscard]] TypeId of(const WordFact& pointer) const;
};

class Checker {
 public:
  Checker(const Inputs& inputs, Layouts& layouts, Beliefs& beliefs);

  // What one member says of memory that begins `base` bytes into `words`. Members that lie outside
  // say nothing. `self` is the family that is being asked whether it is of type `type`.
  struct Question {
    TypeId type;
    FamilyId self;
    uint64_t base = 0;
  };
  [[nodiscard]] Reading read(const Layout& layout, const Leaf& leaf, const Words& words,
                             const Question& question);
  // The same of the array of unknown length at the end, whose first element is looked at.
  [[nodiscard]] Reading read_tail(const Layout& layout, const Words& words,
                                  const Question& question);
  // Whether a pointer of the type leads to what follows the type in its own block, which is larger
  // than one value: a struct and the text that belongs to it are one request.
  [[nodiscard]] bool names_own_rest(TypeId type, const Words& words);
  // No member contradicts; strictly, none leads to something else either.
  [[nodiscard]] bool agrees(TypeId type, const Words& words, uint64_t base, bool strictly = false);
  // Whether a pointer to the begin of a block may be one to `type`.
  [[nodiscard]] bool may_point_at(TypeId type, const WordFact& pointer);
  // Which arm of a union is in use; nothing when none or several can be.
  [[nodiscard]] const std::vector<Leaf>* arm_in_use(const Layout& layout, const Leaf& leaf,
                                                    const Words& words, const Question& question);
  // All that can be: a bit for each of the first 32.
  [[nodiscard]] uint32_t fitting_arms(const Layout& layout, const Leaf& leaf, const Words& words,
                                      const Question& question);
  // The class whose vtable the word names, when DWARF describes it and it is the primary one.
  [[nodiscard]] TypeId class_at(const WordFact& word) { return object_at(word).type; }
  // Whether the word is a vtable's, described or not.
  [[nodiscard]] bool is_vtable(const WordFact& word) { return object_at(word).is_one; }

  // Types made to be expensive get no more than this many answers: whoever asks in a loop stops.
  static constexpr uint64_t kMostReadings = 30'000'000;
  [[nodiscard]] bool is_exhausted() const { return readings_ > kMostReadings; }

  [[nodiscard]] Layouts& layouts() { return layouts_; }
  [[nodiscard]] Relatives& relatives() { return relatives_; }
  [[nodiscard]] const Inputs& inputs() const { return inputs_; }
  [[nodiscard]] Beliefs& beliefs() { return beliefs_; }

 private:
  struct Object {
    bool is_one = false;
    TypeId type;
  };
  [[nodiscard]] const Object& object_at(const WordFact& word);

  struct Static {
    uint64_t begin = 0;
    TypeId type;
  };
  [[nodiscard]] Reading read_leaf(const Leaf& leaf, const Words& words, const Question& question);
  [[nodiscard]] Reading read_tail_elements(const Layout& layout, const Words& words,
                                           const Question& question);
  [[nodiscard]] Reading read_union(const Layout& layout, const Leaf& leaf, const Words& words,
                                   const Question& question);
  [[nodiscard]] Reading read_pointer(const Leaf& leaf, const WordFact& word,
                                     const Question& question);
  [[nodiscard]] Reading read_string(const Words& words, uint64_t offset) const;
  [[nodiscard]] Reading read_vector(const Leaf& leaf, const Words& words, uint64_t offset);
  [[nodiscard]] Reading read_elements(TypeId type, BlockId block, uint64_t count);
  [[nodiscard]] Reading read_other_pointer(const Leaf& leaf, const WordFact& word);
  [[nodiscard]] Reading read_record_pointer(const Leaf& leaf, const WordFact& word,
                                            const Question& question);
  [[nodiscard]] Reading read_block_pointer(const Leaf& leaf, const WordFact& word,
                                           const Question& question);
  [[nodiscard]] Reading look_behind(TypeId type, BlockId block);
  [[nodiscard]] Reading read_vtable(const Leaf& leaf, const WordFact& word);
  [[nodiscard]] TypeId static_at(uint64_t address) const;

  const Inputs& inputs_;
  Layouts& layouts_;
  Relatives relatives_;
  Beliefs& beliefs_;
  std::vector<Static> statics_;                   // sorted
  std::unordered_map<uint64_t, Object> classes_;  // by vtable
  std::unordered_map<uint64_t, Reading> behind_;  // by block and type
  std::unordered_map<uint64_t, Reading> elements_;
  bool is_looking_ = false;
  uint64_t readings_ = 0;
};

}  // namespace heapscan

// From typed variables along typed members through the heap: which live blocks are of which type.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "identify/inputs.h"
#include "identify/typing/agreements.h"
#include "identify/typing/checker.h"
#include "identify/typing/extent.h"

namespace heapscan {

struct TypedPlace {
  AddrRange range;
  TypeId type;
  std::string_view variable;
  bool is_local = false;  // may not have been initialised yet
};

// Globals and statics, thread-local variables of every live thread, locals; in that order.
[[nodiscard]] std::vector<TypedPlace> typed_places(const Inputs& inputs);

// Something typed points at blocks of a family.
struct Vote {
  TypeId type;       // none: characters
  TypeId character;  // then their type
  bool of_string = false;
  uint64_t count = 1;  // of pointers; where only samples were asked, an estimate for all
  TypeId owner;        // whose member points; none: a variable
  std::string_view member;
  bool sure = true;  // does not depend on a type that was only guessed
};

struct Votes {
  Column<FamilyId, std::vector<Vote>> rows;
  // `by`: what is known of who points, and how often.
  void cast(FamilyId family, const Leaf& leaf, Vote by);
};

// Live blocks of one type and one size.
struct LiveType {
  TypeId type;
  uint64_t usable = 0;
  uint64_t blocks = 0;                     // known to be of the type
  bool is_least = false;                   // there may be more
  std::vector<BlockId> examples;           // at most kExamples
  static constexpr size_t kExamples = 16;  // more do not change what is common to them
};

// Live arrays of one type, and what all their elements have in the members that take few values.
struct LiveArray {
  struct Values {
    uint64_t offset = 0;
    uint64_t size = 0;
    std::vector<uint64_t> values;  // sorted
  };
  TypeId element;
  uint64_t blocks = 0;
  std::vector<uint64_t> usable;  // sizes of the blocks, sorted
  std::vector<Values> members;
};

struct LiveTypes {
  std::vector<LiveType> ones;  // sorted by size, then by the order in which they were met
  std::vector<LiveArray> arrays;
};

// Adds to checker.beliefs().blocks, casts votes for families that are met, and learns the tags of
// headers.
[[nodiscard]] LiveTypes type_live_blocks(Checker& checker, Votes& votes, Tags& tags);

// ---- which live type's blocks, or arrays of which pointers, the blocks of a family look like ----

// The one of `live` (all of the family's size) whose examples agree with the samples in every word
// and in several that mean something. Nothing when several types do.
[[nodiscard]] const LiveType* look_alike(Checker& checker, std::span<const LiveType> live,
                                         const std::vector<Words>& samples);

// The one of `live` of which there are arrays of the samples' size, and whose elements the samples'
// elements can be: no member contradicts, and those that take few values take no others.
[[nodiscard]] const LiveArray* array_alike(Checker& checker, std::span<const LiveArray> live,
                                           const std::vector<Words>& samples);

// The struct that nearly all pointers in the samples lead to, when the samples hold nothing else
// but null; none otherwise.
[[nodiscard]] TypeId common_pointee(Checker& checker, const std::vector<Words>& samples);

}  // namespace heapscan

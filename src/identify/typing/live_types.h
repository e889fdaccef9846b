// From typed variables along typed members through the heap: which live blocks are of which type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "identify/inputs.h"
#include "identify/typing/checker.h"
#include "identify/typing/extent.h"
#include "identify/typing/tags.h"

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

}  // namespace heapscan

// Members that say what others are: how much there is, which arm of a union, which type begins with
// this header.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "identify/typing/checker.h"
#include "identify/typing/extent.h"
#include "identify/typing/layout.h"
#include "identify/typing/word_facts.h"

namespace heapscan {

// ---- members that agree with another one --------------------------------------------------------

// Members that agree with another one: a number that says how much there is where a pointer leads
// (the length of a text, the number of an array's elements, the room of a buffer), and a tag that
// chooses the arm of a union.

// A place where a value may begin.
struct Specimen {
  const Words* words = nullptr;
  uint64_t base = 0;
};

struct Counted {
  const Leaf* pointer = nullptr;
  const Leaf* count = nullptr;
  size_t specimens = 0;  // in which the pointer leads to a block
};

// Each pointer of the layout that has such a member, which is right in nearly all specimens.
[[nodiscard]] std::vector<Counted> find_counted(const Inputs& inputs, const Layout& layout,
                                                std::span<const Specimen> specimens);

// The member whose value says which arm of `leaf` is in use: for each of its values one arm fits
// all specimens that have it, and there are values that no arm fits together. Null when there is
// none.
[[nodiscard]] const Leaf* chooser_of(Checker& checker, const Layout& layout, const Leaf& leaf,
                                     TypeId type, FamilyId family,
                                     std::span<const Specimen> specimens);

// ---- tags ---------------------------------------------------------------------------------------

// Types that share a header, and the member of it that tells them apart.
//
// Programs in C keep objects of many types in one list through a header they all begin with: the
// tag of Lua's objects, the NodeTag of PostgreSQL, GTypeInstance. A pointer to the header says
// little; which value of which member stands for which type is learnt from live blocks whose type
// is known from elsewhere.

struct TagValue {
  uint64_t value = 0;
  TypeId type;
};

struct Tag {
  TypeId header;
  uint64_t offset = 0;
  uint64_t size = 0;
  std::string_view member;
  std::vector<TagValue> values;  // sorted
};

// A live block whose type is known.
struct TypedBlock {
  BlockId block;
  TypeId type;
};

class Tags {
 public:
  static constexpr uint64_t kHeaderBytes = 64;  // tags further in are not looked for

  explicit Tags(Checker& checker) : checker_(checker) {}

  // Pointers to `header` lead to blocks of other types.
  void note_header(TypeId header) { static_cast<void>(add_header(header)); }
  // One led to this live block, which is larger than the header, and of which nothing is known.
  void add_unexplained(TypeId header, BlockId block);
  // Learns from live blocks; of values that none of them has, from what all unexplained blocks with
  // that value can be of all types with that header. True when something is known that was not.
  bool learn(std::span<const TypedBlock> typed);
  [[nodiscard]] bool has_tag(TypeId header) const;
  // What such a header stands for; none when that is not known.
  [[nodiscard]] TypeId type_of(TypeId header, const Words& words) const;
  // Whether the tag says that this is not of the type, although such blocks have one.
  [[nodiscard]] bool deny(TypeId type, const Words& words) const;
  // The blocks that led nowhere and have a type now; each is given out once.
  [[nodiscard]] std::vector<TypedBlock> take_explained();
  [[nodiscard]] std::span<const Tag> all() const { return tags_; }

 private:
  // The header's row; null when it has no member that may be a tag, or there are too many.
  std::vector<BlockId>* add_header(TypeId header);
  [[nodiscard]] std::optional<Tag> learn_from(TypeId header, std::span<const TypedBlock> typed);
  [[nodiscard]] bool learn_by_elimination(Tag& tag, const std::vector<BlockId>& blocks);
  [[nodiscard]] TypeId only_type(const Tag& tag, std::span<const BlockId> blocks);
  [[nodiscard]] static TypeId type_of_value(const Tag& tag, uint64_t value);

  Checker& checker_;
  std::vector<std::pair<TypeId, std::vector<BlockId>>> unexplained_;  // by header
  std::vector<Tag> tags_;
};

}  // namespace heapscan

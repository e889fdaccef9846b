// Types that share a header, and the member of it that tells them apart.
//
// Programs in C keep objects of many types in one list through a header they all begin with: the
// tag of Lua's objects, the NodeTag of PostgreSQL, GTypeInstance. A pointer to the header says
// little; which value of which member stands for which type is learnt from live blocks whose type
// is known from elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "identify/typing/checker.h"
#include "identify/typing/extent.h"

namespace heapscan {

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

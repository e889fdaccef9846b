// What a type asks of memory: its members by value, laid out flat.
//
// Made on demand from Types and kept. A layout has a bounded number of leaves: of what is not
// `whole` only the first ones are known.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "heapscan/symbols/types.h"

namespace heapscan {

enum class LeafKind : uint8_t {
  Opaque,  // may hold anything: bit-fields, member pointers, unions within unions
  Integer,
  Enumeration,
  Boolean,
  Float,
  Text,           // an array of characters, or one
  CodePointer,    // to a function
  VtablePointer,  // what a C++ compiler puts first
  TextPointer,    // char *
  RecordPointer,  // to a struct, class or union
  OtherPointer,   // int *, struct session **
  AnyPointer,     // void *
  Union,          // of arms, one of which is in use
};

struct Leaf {
  uint64_t offset = 0;
  uint64_t size = 0;
  LeafKind kind = LeafKind::Opaque;
  TypeId target;  // of a pointer, declarations resolved; of what holds a vtable pointer the class
  TypeId follow;  // of a pointer, what blocks it leads to are: for a node's base the node, or none
  std::string_view member;
  uint64_t values = 0;         // of an enumeration: how many it has, from 0 on; 0: unknown
  bool of_string = false;      // where a std::string's text is
  bool begins_vector = false;  // where a std::vector's elements begin
  uint32_t first_arm = 0;      // of a union: index into Layout::arms
  uint32_t arms = 0;
};
[[nodiscard]] constexpr bool is_followed(const Leaf& leaf) {
  return leaf.kind == LeafKind::TextPointer || leaf.kind == LeafKind::RecordPointer ||
         leaf.kind == LeafKind::OtherPointer;
}

// A number that may stand for one of a few things. A byte is a character to DWARF, whatever the
// program keeps in it.
[[nodiscard]] constexpr bool holds_small_number(const Leaf& leaf) {
  const bool is_number = leaf.kind == LeafKind::Integer || leaf.kind == LeafKind::Enumeration;
  return (is_number && leaf.size <= 4) || (leaf.kind == LeafKind::Text && leaf.size == 1);
}

struct Layout {
  uint64_t size = 0;
  std::vector<Leaf> leaves;
  std::vector<std::vector<Leaf>> arms;  // with offsets from the begin of the whole
  bool whole = true;
  bool has_tail = false;  // ends in an array of unknown length
  uint64_t tail = 0;      // where that begins
  TypeId tail_element;
  [[nodiscard]] bool holds_pointers() const;
};

// The array of unknown length that a struct ends in: [], [0] and, of old, [1]. A struct that is
// nothing else has none: it would be right of any memory.
struct Tail {
  uint64_t offset = 0;
  TypeId element;
};
[[nodiscard]] std::optional<Tail> tail_of(const Types& types, TypeId id);

class Layouts {
 public:
  explicit Layouts(const Types& types) : types_(types) {}

  [[nodiscard]] const Types& types() const { return types_; }
  // The reference stays valid.
  [[nodiscard]] const Layout& of(TypeId id);
  // The one complete type a declaration stands for; itself when there is none, or several.
  [[nodiscard]] TypeId whole(TypeId id);
  // What a buffer of that type is for; itself when it is no buffer, or nobody knows.
  [[nodiscard]] TypeId unbuffered(TypeId id);
  // A type of pointers to `id`; none when the program has none.
  [[nodiscard]] TypeId pointer_to(TypeId id);
  // Whether a pointer to one may point at the other: the same type, also declared twice, the first
  // part (base class, first member) of it, or a header they share.
  [[nodiscard]] bool compatible(TypeId a, TypeId b);

  [[nodiscard]] bool begins_with(TypeId outer, TypeId inner);
  // Whether one begins with the other, so that both are right about the same memory.
  [[nodiscard]] bool nested(TypeId a, TypeId b) { return begins_with(a, b) || begins_with(b, a); }
  // Whether the outer struct begins with all members of the inner one, by name, place and type: how
  // C shares a header between types (C11, 6.5.2.3).
  [[nodiscard]] bool begins_alike(TypeId outer, TypeId inner);

  static constexpr size_t kMostLeaves = 512;      // of one type
  static constexpr size_t kMostKept = 1'000'000;  // of all types

 private:
  [[nodiscard]] TypeId first_part(TypeId id) const;
  [[nodiscard]] Layout flatten(TypeId id);

  const Types& types_;
  std::unordered_map<uint32_t, Layout> layouts_;
  std::unordered_map<uint32_t, TypeId> pointers_;  // by what they point to; made when asked for
  size_t kept_ = 0;
};

// The one of `types` that `fits`; where several do, they must be the same from the begin on.
template <typename Types, typename F>
[[nodiscard]] TypeId only_fitting(Layouts& layouts, const Types& types, F&& fits) {
  TypeId answer = TypeId::none();
  for (const TypeId type : types) {
    if (!fits(type)) continue;
    if (answer.valid() && !layouts.nested(answer, type)) return TypeId::none();
    if (!answer.valid()) answer = type;
  }
  return answer;
}

}  // namespace heapscan

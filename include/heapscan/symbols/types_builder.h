// Makes Types: DebugInfo from DWARF, tests by hand.
//
//   TypesBuilder builder;
//   const TypeId session = builder.add({.kind = TypeKind::Struct, .size = 24, .name = "session"});
//   const TypeId pointer = builder.add({.kind = TypeKind::Pointer, .size = 8, .target = session});
//   builder.set_members(session, {{.offset = 0, .type = pointer, .name = "next"}});
//   const Types types = builder.freeze();
#pragma once

#include <utility>
#include <vector>

#include "heapscan/symbols/types.h"

namespace heapscan {

class TypesBuilder {
 public:
  // A type without members. Members are set later, so that types may name each other.
  TypeId add(Type type);
  void set_members(TypeId id, std::vector<Member> members);
  void set_type(TypeId id, Type type);  // in place of a forward declaration; before set_members()
  [[nodiscard]] size_t size() const { return types_.size(); }
  void add_variable(Variable variable);
  void add_local(LocalVariable local);
  void add_note(Note note) { types_.notes_.push_back(std::move(note)); }
  // Members that lie outside their type, ids that name no type, and what would make a type contain
  // itself are taken out; an array without a size gets that of its elements.
  [[nodiscard]] Types freeze();

 private:
  void settle_arrays();
  void settle_array(Type& type);
  void drop_members_outside();
  void index_records();
  Types types_;
};

}  // namespace heapscan

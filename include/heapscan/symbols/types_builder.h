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
  void add_variable(Variable variable);
  void add_local(LocalVariable local);
  void add_note(Note note) { types_.notes_.push_back(std::move(note)); }
  // Members that lie outside their type, and ids that name no type, are taken out.
  [[nodiscard]] Types freeze();

 private:
  Types types_;
};

}  // namespace heapscan

// The types of a program, as DWARF describes them, and which variables have them.
//
// Made by DebugInfo::read_types() (by hand, in tests: TypesBuilder). Immutable afterwards. Typedefs
// and qualifiers are peeled off: a type is what remains. One struct that many units declare alike
// (same name, size and members) is one type. Every id a type or member names is valid or none.
// Members lie within their type, and an array's elements within its size. Types may be cyclic
// through pointers; by value (members, elements) none contains itself, and they nest 64 deep at
// most. Source of the format: DWARF 4 and 5.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"

namespace heapscan {

using TypeId = Id<struct TypeTag>;

enum class TypeKind : uint8_t {
  Unknown,  // not described, or damaged
  Void,
  Integer,
  Character,
  Boolean,
  Float,
  Enumeration,
  Pointer,        // references too
  MemberPointer,  // C++ pointers to members
  Function,
  Struct,  // classes too
  Union,
  Array,
};

[[nodiscard]] constexpr bool is_record(TypeKind kind) {
  return kind == TypeKind::Struct || kind == TypeKind::Union;
}

struct Type {
  TypeKind kind = TypeKind::Unknown;
  uint64_t size = 0;  // bytes; 0 when unknown or incomplete
  // "session", "ns::Parser", "long unsigned int"; of an anonymous struct its typedef's; empty for
  // pointers, arrays, functions and what has no name.
  std::string name = {};
  // Of a pointer what it points to, of an array its element; none: void or unknown.
  TypeId target = {};
  // Of an array: elements; 0: flexible or unknown. Of an enumeration: how many values, from 0 on,
  // its enumerators have or, being flags, can be combined to; 0: unknown.
  uint64_t count = 0;
  uint32_t first_member = 0;
  uint32_t members = 0;
  bool is_class = false;  // declared in C++ or named by a typedef: shown without "struct"
  ModuleId module = {};   // the first of those that describe it; none: unknown
};
[[nodiscard]] inline bool is_record(const Type& type) { return is_record(type.kind); }

struct Member {
  uint64_t offset = 0;  // bytes
  TypeId type = {};
  std::string name = {};  // empty for base classes and anonymous structs and unions
  bool is_base = false;
  bool is_bit_field = false;
};

// A global, a function's static variable or a thread-local one.
struct Variable {
  std::string name = {};  // qualified
  ModuleId module = {};
  Addr address = {};  // at run time; of a thread-local one: offset in its module's TLS block
  bool is_thread_local = false;
  TypeId type = {};
};

// A variable of a function that was running, where it lay in memory.
struct LocalVariable {
  std::string name = {};
  std::string function = {};
  int tid = 0;
  Addr address = {};
  TypeId type = {};
};

class Types {
 public:
  [[nodiscard]] bool empty() const { return types_.empty(); }
  [[nodiscard]] size_t size() const { return types_.size(); }
  [[nodiscard]] const Type& type(TypeId id) const { return types_[id]; }
  [[nodiscard]] std::span<const Member> members(TypeId id) const {
    const Type& type = types_[id];
    return std::span(members_).subspan(type.first_member, type.members);
  }
  // "struct session", "Parser", "char *", "int [4]"; "void" for none. At most a few nested levels
  // are spelled out.
  [[nodiscard]] std::string spelled(TypeId id) const;
  // Complete structs, classes and unions of that qualified name; several when units disagree.
  [[nodiscard]] std::vector<TypeId> named(std::string_view name) const;
  // Complete structs, classes and unions, by size, then name.
  [[nodiscard]] std::span<const TypeId> records() const { return records_; }
  [[nodiscard]] std::span<const Variable> variables() const { return variables_; }
  [[nodiscard]] std::span<const LocalVariable> locals() const { return locals_; }
  [[nodiscard]] const Notes& notes() const { return notes_; }

 private:
  friend class TypesBuilder;
  Column<TypeId, Type> types_;
  std::vector<Member> members_;
  std::vector<TypeId> records_;
  std::vector<TypeId> by_name_;      // records sorted by name
  std::vector<Variable> variables_;  // sorted by module, then address
  std::vector<LocalVariable> locals_;
  Notes notes_;
};

// ---- how types are made -------------------------------------------------------------------------

// Makes Types: DebugInfo from DWARF, tests by hand.
//
//   TypesBuilder builder;
//   const TypeId session = builder.add({.kind = TypeKind::Struct, .size = 24, .name = "session"});
//   const TypeId pointer = builder.add({.kind = TypeKind::Pointer, .size = 8, .target = session});
//   builder.set_members(session, {{.offset = 0, .type = pointer, .name = "next"}});
//   const Types types = builder.freeze();

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

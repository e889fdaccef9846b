#include "heapscan/symbols/types.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr int kMostLevels = 8;

std::string with_keyword(const char* keyword, const Type& type) {
  if (type.name.empty()) return std::string(keyword) + " {...}";
  return type.is_class ? type.name : std::string(keyword) + " " + type.name;
}

// What stands at the left end of a type's spelling: neither pointer nor array.
std::string base_name(const Type& type) {
  switch (type.kind) {
    case TypeKind::Void:
      return "void";
    case TypeKind::Struct:
      return with_keyword("struct", type);
    case TypeKind::Union:
      return with_keyword("union", type);
    case TypeKind::Enumeration:
      return with_keyword("enum", type);
    case TypeKind::Function:
      return "function";
    case TypeKind::MemberPointer:
      return "member pointer";
    default:
      return type.name.empty() ? "unknown" : type.name;
  }
}

}  // namespace

// Pointers and arrays are collected from the outside in; in C's notation the innermost stands next
// to the name, and a pointer to an array takes parentheses: int (*)[4].
std::string Types::spelled(TypeId id) const {
  std::string declarator;
  bool pointer_last = false;
  for (int level = 0; id.valid(); ++level) {
    const Type& type = types_[id];
    const bool pointer = type.kind == TypeKind::Pointer;
    if (!pointer && type.kind != TypeKind::Array) break;
    if (level == kMostLevels) return "..." + declarator;
    if (pointer) {
      declarator.insert(0, "*");
    } else {
      if (pointer_last) declarator = "(" + declarator + ")";
      declarator += type.count == 0 ? "[]" : "[" + std::to_string(type.count) + "]";
    }
    pointer_last = pointer;
    id = type.target;
  }
  const std::string base = id.valid() ? base_name(types_[id]) : "void";
  return declarator.empty() ? base : base + " " + declarator;
}

std::vector<TypeId> Types::named(std::string_view name) const {
  const auto begin = std::partition_point(by_name_.begin(), by_name_.end(),
                                          [&](TypeId id) { return types_[id].name < name; });
  const auto end = std::partition_point(begin, by_name_.end(),
                                        [&](TypeId id) { return types_[id].name == name; });
  return {begin, end};
}

}  // namespace heapscan

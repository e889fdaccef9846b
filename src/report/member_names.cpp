#include "report/describe_parts.h"

#include <fmt/format.h>

namespace heapscan {

namespace {

constexpr int kDeepestMember = 64;  // as deep as types nest

// The member that holds `offset`: the last of those that begin at or below it and reach over it.
const Member* member_at(const Types& types, TypeId type, uint64_t offset) {
  const Member* best = nullptr;
  for (const Member& member : types.members(type)) {
    if (member.offset > offset || !member.type.valid()) continue;
    const Type& of = types.type(member.type);
    const bool flexible = of.kind == TypeKind::Array && of.size == 0;
    const bool reaches = flexible || offset - member.offset < of.size;
    if (reaches && (best == nullptr || member.offset >= best->offset)) best = &member;
  }
  return best;
}

// Takes one step inwards; false when there is none.
bool descend(const Types& types, TypeId& type, uint64_t& offset, std::string& name) {
  const Type& outer = types.type(type);
  if (outer.kind == TypeKind::Array) {
    if (!outer.target.valid()) return false;
    const uint64_t size = types.type(outer.target).size;
    if (size == 0) return false;
    name += fmt::format("[{}]", offset / size);
    offset %= size;
    type = outer.target;
    return true;
  }
  if (!is_record(outer)) return false;
  const Member* const member = member_at(types, type, offset);
  if (member == nullptr) return false;
  if (!member->name.empty()) name += (name.empty() ? "" : ".") + member->name;
  offset -= member->offset;
  type = member->type;
  return true;
}

// Arrays of characters and numbers are named as a whole.
bool is_leaf(const Types& types, const Type& type) {
  if (type.kind != TypeKind::Array) return !is_record(type);
  if (!type.target.valid()) return true;
  const Type& element = types.type(type.target);
  return element.size < 8 && !is_record(element);
}

}  // namespace

MemberName name_member(const Types& types, TypeId type, uint64_t size, uint64_t offset) {
  if (!type.valid()) return {};
  const uint64_t each = types.type(type).size;
  if (!is_record(types.type(type)) || each == 0) return {};
  std::string name;
  if (offset >= each && member_at(types, type, offset) == nullptr) {
    if (offset / each >= size / each) return {};
    name = fmt::format("[{}]", offset / each);
    offset %= each;
  }
  for (int depth = 0; depth < kDeepestMember; ++depth) {
    if (depth > 0 && is_leaf(types, types.type(type))) break;
    if (!descend(types, type, offset, name)) return {};
  }
  return {name, types.spelled(type)};
}

}  // namespace heapscan

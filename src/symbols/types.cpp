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

// freeze() makes true what types.h promises, whatever was added: it cuts out what lies outside, and
// walks containment by value (members and elements, not pointers) once, depth first and without
// recursion, to cut every edge that would close a circle or nest too deep.

namespace {

constexpr uint8_t kDeepestNesting = 64;

class ContainmentWalk {
 public:
  ContainmentWalk(Column<TypeId, Type>& types, std::vector<Member>& members)
      : types_(types), members_(members), height_(types.size(), kUnseen) {}

  void cut_circles() {
    for (size_t i = 0; i < types_.size(); ++i) visit(TypeId(i));
  }

 private:
  static constexpr uint8_t kUnseen = 0;
  static constexpr uint8_t kOpen = 255;  // on the path now; otherwise how deep what it holds nests

  struct Step {
    TypeId type;
    uint32_t next = 0;
    uint8_t deepest = 0;
  };

  // The id by which `type` holds its part number `i`; null behind the last.
  TypeId* part(TypeId id, uint32_t i) {
    Type& type = types_[id];
    if (type.kind == TypeKind::Array) return i == 0 ? &type.target : nullptr;
    if (!is_record(type) || i >= type.members) return nullptr;
    return &members_[type.first_member + i].type;
  }

  void visit(TypeId first) {
    if (height_[first] != kUnseen) return;
    enter(first);
    while (!path_.empty()) {
      Step& step = path_.back();
      TypeId* const held = part(step.type, step.next);
      if (held == nullptr) {
        height_[step.type] = static_cast<uint8_t>(step.deepest + 1);
        path_.pop_back();
        continue;
      }
      if (!held->valid()) {
        ++step.next;
      } else if (height_[*held] == kUnseen) {
        enter(*held);
      } else {
        const uint8_t height = height_[*held];
        if (height >= kDeepestNesting) {
          *held = TypeId::none();
        } else {
          step.deepest = std::max(step.deepest, height);
        }
        ++step.next;
      }
    }
  }

  void enter(TypeId id) {
    height_[id] = kOpen;
    path_.push_back({id});
  }

  Column<TypeId, Type>& types_;
  std::vector<Member>& members_;
  Column<TypeId, uint8_t> height_;
  std::vector<Step> path_;
};

void keep_valid(TypeId& id, size_t types) {
  if (id.valid() && id.index() >= types) id = TypeId::none();
}

}  // namespace

TypeId TypesBuilder::add(Type type) {
  type.first_member = 0;
  type.members = 0;
  return types_.types_.push_back(std::move(type));
}

void TypesBuilder::set_members(TypeId id, std::vector<Member> members) {
  Type& type = types_.types_[id];
  type.first_member = static_cast<uint32_t>(types_.members_.size());
  type.members = static_cast<uint32_t>(members.size());
  std::move(members.begin(), members.end(), std::back_inserter(types_.members_));
}

void TypesBuilder::set_type(TypeId id, Type type) {
  type.first_member = types_.types_[id].first_member;
  type.members = types_.types_[id].members;
  types_.types_[id] = std::move(type);
}

void TypesBuilder::add_variable(Variable variable) {
  types_.variables_.push_back(std::move(variable));
}

void TypesBuilder::add_local(LocalVariable local) { types_.locals_.push_back(std::move(local)); }

// An array of arrays needs the sizes of those first: chains of them are followed inwards, and
// settled on the way back.
void TypesBuilder::settle_arrays() {
  Column<TypeId, Type>& types = types_.types_;
  Column<TypeId, uint8_t> visited(types.size());
  std::vector<TypeId> chain;
  for (size_t i = 0; i < types.size(); ++i) {
    for (TypeId id(i); id.valid() && types[id].kind == TypeKind::Array && visited[id] == 0;
         id = types[id].target) {
      visited[id] = 1;
      chain.push_back(id);
    }
    for (; !chain.empty(); chain.pop_back()) settle_array(types[chain.back()]);
  }
}

void TypesBuilder::settle_array(Type& type) {
  const uint64_t element = type.target.valid() ? types_.types_[type.target].size : 0;
  if (element == 0) {
    type.count = 0;
  } else if (type.size == 0 && type.count <= UINT64_MAX / element) {
    type.size = type.count * element;
  } else {
    type.count = std::min(type.count, type.size / element);
  }
}

void TypesBuilder::drop_members_outside() {
  for (Type& type : types_.types_) {
    const auto outside = [&](const Member& member) {
      // A bit-field may begin in the last byte of what holds it.
      const bool whole = member.type.valid() && !member.is_bit_field;
      const uint64_t size = whole ? types_.types_[member.type].size : 0;
      return member.offset > type.size || type.size - member.offset < size;
    };
    const auto begin = types_.members_.begin() + type.first_member;
    const auto end = std::remove_if(begin, begin + type.members, outside);
    type.members = static_cast<uint32_t>(end - begin);
  }
}

void TypesBuilder::index_records() {
  const auto& types = types_.types_;
  for (size_t i = 0; i < types.size(); ++i) {
    const TypeId id(i);
    if (is_record(types[id]) && types[id].size != 0) types_.records_.push_back(id);
  }
  types_.by_name_ = types_.records_;
  std::stable_sort(types_.records_.begin(), types_.records_.end(), [&](TypeId a, TypeId b) {
    if (types[a].size != types[b].size) return types[a].size < types[b].size;
    return types[a].name < types[b].name;
  });
  std::stable_sort(types_.by_name_.begin(), types_.by_name_.end(),
                   [&](TypeId a, TypeId b) { return types[a].name < types[b].name; });
}

Types TypesBuilder::freeze() {
  const size_t count = types_.types_.size();
  for (Type& type : types_.types_) keep_valid(type.target, count);
  for (Member& member : types_.members_) keep_valid(member.type, count);
  for (Variable& variable : types_.variables_) keep_valid(variable.type, count);
  for (LocalVariable& local : types_.locals_) keep_valid(local.type, count);
  settle_arrays();
  drop_members_outside();
  ContainmentWalk(types_.types_, types_.members_).cut_circles();
  index_records();
  std::stable_sort(types_.variables_.begin(), types_.variables_.end(),
                   [](const Variable& a, const Variable& b) {
                     if (a.module != b.module) return a.module < b.module;
                     return a.address < b.address;
                   });
  return std::move(types_);
}

}  // namespace heapscan

// A type is walked depth first over what it contains by value, without recursion: a stack holds the
// parts still to be visited, in reverse. Arrays put one element and the rest of themselves back on
// the stack, so that a huge one costs no more than the leaves that are kept. A union is one leaf;
// its arms are walked like types of their own, and unions within them stay opaque. But where one
// arm begins as all others do, the union is that arm.
#include "identify/typing/layout.h"

#include <algorithm>

#include "identify/typing/relatives.h"

namespace heapscan {

namespace {

constexpr size_t kMostSteps = 8192;  // of a walk over one type
constexpr uint32_t kMostArms = 32;   // of a union: as many as an answer has bits
constexpr int kMostLevels = 16;      // of types that begin with others
constexpr size_t kFirst = 4;         // members among which the first that takes room is looked for

constexpr size_t kFewestShared = 2;  // members of a header

bool is_same_member(const Leaf& a, const Leaf& b) {
  return a.offset == b.offset && a.size == b.size && a.kind == b.kind && a.target == b.target &&
         a.member == b.member && a.kind != LeafKind::Union;
}

// Whether `outer` begins with all members of `inner`. Layouts::begins_alike() knows more, but it
// asks for layouts, which are only being made here.
bool covers(const Types& types, TypeId outer, TypeId inner) {
  if (types.type(inner).kind != TypeKind::Struct) return false;
  const auto all = types.members(outer);
  const auto first = types.members(inner);
  return first.size() <= all.size() && first.size() <= kMostSteps &&
         std::equal(first.begin(), first.end(), all.begin(), [](const Member& a, const Member& b) {
           return a.offset == b.offset && a.type == b.type && a.is_bit_field == b.is_bit_field;
         });
}

// The arm of a union that begins as all others do, so that it is right whichever is in use; null
// when there is none.
const Member* arm_over_all(const Types& types, TypeId id) {
  const auto arms = types.members(id);
  if (arms.empty() || arms.size() > kMostArms) return nullptr;
  for (const Member& arm : arms) {
    if (!arm.type.valid() || types.type(arm.type).size != types.type(id).size) continue;
    if (types.type(arm.type).kind != TypeKind::Struct) continue;
    const bool is_over_all = std::all_of(arms.begin(), arms.end(), [&](const Member& other) {
      return other.type.valid() && covers(types, arm.type, other.type);
    });
    if (is_over_all) return &arm;
  }
  return nullptr;
}

struct Part {
  TypeId type;
  uint64_t offset = 0;
  uint64_t elements = 1;  // equal ones, side by side
  TypeId container;       // the innermost enclosing one that knows its nodes
  TypeId record;          // the innermost enclosing one
  const Member* member = nullptr;
};

class Flattening {
 public:
  Flattening(Layouts& layouts, Layout& layout) : layouts_(layouts), layout_(layout) {}

  void walk(Part first, std::vector<Leaf>& leaves, bool in_union) {
    stack_.assign(1, first);
    while (!stack_.empty()) {
      const Part part = stack_.back();
      stack_.pop_back();
      if (++steps_ > kMostSteps || leaves.size() >= Layouts::kMostLeaves) {
        layout_.whole = false;
        return;
      }
      if (part.type.valid()) visit(part, leaves, in_union);
    }
  }
  [[nodiscard]] const std::vector<Part>& unions() const { return unions_; }

 private:
  void visit(const Part& part, std::vector<Leaf>& leaves, bool in_union) {
    const Type& type = layouts_.types().type(part.type);
    if (part.elements > 1) {
      Part rest = part;
      rest.elements -= 1;
      rest.offset += type.size;
      stack_.push_back(rest);
    }
    switch (type.kind) {
      case TypeKind::Array:
        return push_elements(part, type, leaves);
      case TypeKind::Struct:
        return push_members(part);
      case TypeKind::Union:
        return add_union(part, type, leaves, in_union);
      default:
        add_leaf(part, type, leaves);
    }
  }

  void push_elements(const Part& part, const Type& array, std::vector<Leaf>& leaves) {
    if (!array.target.valid() || array.count == 0) return;
    const Type& element = layouts_.types().type(array.target);
    if (element.kind == TypeKind::Character && element.size == 1) {
      leaves.push_back(make_leaf(part, array.count, LeafKind::Text));
      return;
    }
    if (element.size == 0) return;
    Part elements = part;
    elements.type = array.target;
    elements.elements = array.count;
    stack_.push_back(elements);
  }

  void push_members(const Part& part) {
    if (const TypeId element = layouts_.unbuffered(part.type); element != part.type) {
      Part inner = part;
      inner.type = element;
      stack_.push_back(inner);
      return;
    }
    const auto members = layouts_.types().members(part.type);
    if (members.size() > kMostSteps) layout_.whole = false;
    const size_t count = std::min(members.size(), kMostSteps);
    const TypeId container =
        knows_its_nodes(layouts_.types().type(part.type).name) ? part.type : part.container;
    for (size_t i = count; i-- > 0;) {
      stack_.push_back(
          {members[i].type, part.offset + members[i].offset, 1, container, part.type, &members[i]});
    }
  }

  void add_union(const Part& part, const Type& type, std::vector<Leaf>& leaves, bool in_union) {
    if (const Member* const arm = arm_over_all(layouts_.types(), part.type)) {
      Part inner = part;
      inner.type = arm->type;
      inner.elements = 1;
      stack_.push_back(inner);
      return;
    }
    Leaf leaf = make_leaf(part, type.size, in_union ? LeafKind::Opaque : LeafKind::Union);
    if (!in_union) {
      leaf.first_arm = arms_;
      leaf.arms = std::min(type.members, kMostArms);
      if (type.members > kMostArms || type.members == 0) {
        leaf.kind = LeafKind::Opaque;
      } else {
        arms_ += leaf.arms;
        unions_.push_back(part);
      }
    }
    leaves.push_back(leaf);
  }

  void add_leaf(const Part& part, const Type& type, std::vector<Leaf>& leaves) {
    if (type.size == 0) return;
    Leaf leaf = make_leaf(part, type.size, kind_of(type));
    if (part.member != nullptr && part.member->is_bit_field) leaf.kind = LeafKind::Opaque;
    if (type.kind == TypeKind::Pointer) settle_pointer(part, type, leaf);
    if (type.kind == TypeKind::Enumeration) leaf.values = type.count;
    leaves.push_back(leaf);
  }

  [[nodiscard]] Leaf make_leaf(const Part& part, uint64_t size, LeafKind kind) const {
    Leaf leaf;
    leaf.offset = part.offset;
    leaf.size = size;
    leaf.kind = kind;
    if (part.member != nullptr) leaf.member = part.member->name;
    return leaf;
  }

  static LeafKind kind_of(const Type& type) {
    switch (type.kind) {
      case TypeKind::Integer:
        return LeafKind::Integer;
      case TypeKind::Enumeration:
        return LeafKind::Enumeration;
      case TypeKind::Boolean:
        return type.size == 1 ? LeafKind::Boolean : LeafKind::Integer;
      case TypeKind::Float:
        return LeafKind::Float;
      case TypeKind::Character:
        return type.size == 1 ? LeafKind::Text : LeafKind::Integer;
      default:
        return LeafKind::Opaque;
    }
  }

  void settle_pointer(const Part& part, const Type& type, Leaf& leaf) {
    leaf.kind = LeafKind::Opaque;
    if (type.size != 8) return;
    leaf.kind = LeafKind::AnyPointer;
    if (leaf.member.starts_with("_vptr")) {
      leaf.kind = LeafKind::VtablePointer;
      leaf.target = part.record;
      return;
    }
    if (!type.target.valid()) return;
    leaf.target = layouts_.whole(type.target);
    leaf.follow = leaf.target;
    const Type& target = layouts_.types().type(leaf.target);
    leaf.kind = kind_of_pointer_to(target);
    if (leaf.kind == LeafKind::TextPointer && part.record.valid()) {
      const std::string_view owner = layouts_.types().type(part.record).name;
      leaf.of_string =
          leaf.member == "_M_p" && owner.starts_with("std::__cxx11::basic_string<char");
    }
    leaf.begins_vector = leaf.member == "_M_start" && part.record.valid() &&
                         layouts_.types().type(part.record).name.starts_with("std::_Vector_base<");
    if (is_node_base(target.name)) {
      leaf.follow =
          part.container.valid() ? node_type(layouts_.types(), part.container) : TypeId::none();
    }
  }

  static LeafKind kind_of_pointer_to(const Type& target) {
    switch (target.kind) {
      case TypeKind::Function:
        return LeafKind::CodePointer;
      case TypeKind::Struct:
      case TypeKind::Union:
        return LeafKind::RecordPointer;
      case TypeKind::Character:
        return target.size == 1 ? LeafKind::TextPointer : LeafKind::OtherPointer;
      case TypeKind::Unknown:
      case TypeKind::Void:
        return LeafKind::AnyPointer;
      default:
        return LeafKind::OtherPointer;
    }
  }

  Layouts& layouts_;
  Layout& layout_;
  std::vector<Part> stack_;
  std::vector<Part> unions_;
  uint32_t arms_ = 0;
  size_t steps_ = 0;
};

}  // namespace

std::optional<Tail> tail_of(const Types& types, TypeId id) {
  uint64_t offset = 0;
  for (int level = 0; level < kMostLevels; ++level) {
    const auto members = types.members(id);
    if (types.type(id).kind != TypeKind::Struct || members.empty()) return std::nullopt;
    const Member& last = members.back();
    if (!last.type.valid() || last.is_bit_field) return std::nullopt;
    const Type& type = types.type(last.type);
    offset += last.offset;
    if (type.kind == TypeKind::Array) {
      const bool is_tail = type.count <= 1 && type.target.valid() && offset != 0;
      return is_tail ? std::optional<Tail>({offset, type.target}) : std::nullopt;
    }
    id = last.type;
  }
  return std::nullopt;
}

bool Layout::holds_pointers() const {
  return std::any_of(leaves.begin(), leaves.end(), [](const Leaf& leaf) {
    return is_followed(leaf) || leaf.kind == LeafKind::Union;
  });
}

const Layout& Layouts::of(TypeId id) {
  const auto [place, is_new] = layouts_.try_emplace(id.value);
  if (!is_new) return place->second;
  Layout& layout = place->second;
  if (kept_ > kMostKept) {
    layout.whole = false;
  } else {
    layout = flatten(id);
  }
  kept_ += layout.leaves.size() + 1;
  return layout;
}

Layout Layouts::flatten(TypeId id) {
  Layout layout;
  layout.size = types_.type(id).size;
  Flattening flattening(*this, layout);
  flattening.walk({id, 0, 1, TypeId::none(), TypeId::none(), nullptr}, layout.leaves, false);
  const std::vector<Part> unions = flattening.unions();
  for (const Part& part : unions) {
    const auto members = types_.members(part.type);
    for (size_t i = 0; i < std::min<size_t>(members.size(), kMostArms); ++i) {
      layout.arms.emplace_back();
      flattening.walk({members[i].type, part.offset + members[i].offset, 1, part.container,
                       part.type, &members[i]},
                      layout.arms.back(), true);
    }
  }
  if (const auto tail = tail_of(types_, id)) {
    layout.has_tail = true;
    layout.tail = tail->offset;
    layout.tail_element = tail->element;
  }
  return layout;
}

TypeId Layouts::whole(TypeId id) {
  const Type& type = types_.type(id);
  if (!is_record(type) || type.size != 0 || type.name.empty()) return id;
  const auto found = types_.named(type.name);
  return found.size() == 1 ? found.front() : id;
}

TypeId Layouts::pointer_to(TypeId id) {
  if (pointers_.empty()) {
    for (size_t i = 0; i < types_.size(); ++i) {
      const Type& pointer = types_.type(TypeId(i));
      if (pointer.kind == TypeKind::Pointer && pointer.target.valid())
        pointers_.emplace(pointer.target.value, TypeId(i));
    }
  }
  const auto found = pointers_.find(id.value);
  return found == pointers_.end() ? TypeId::none() : found->second;
}

TypeId Layouts::unbuffered(TypeId id) {
  const Type& type = types_.type(id);
  const BufferedElement element = buffered_element(type.name);
  const auto found = element.name.empty() ? std::vector<TypeId>() : types_.named(element.name);
  if (found.empty()) return id;
  TypeId answer = found.front();
  for (int i = 0; i < element.pointers; ++i) {
    answer = pointer_to(answer);
    if (!answer.valid()) return id;
  }
  const bool is_same_size = types_.type(answer).size == type.size;
  return is_same_size && buffered_element(types_.type(answer).name).name.empty() ? answer : id;
}

// What a struct begins with; empty bases, such as allocators, take no room.
TypeId Layouts::first_part(TypeId id) const {
  for (const Member& member :
       types_.members(id).first(std::min(types_.members(id).size(), kFirst))) {
    if (member.offset != 0 || !member.type.valid()) continue;
    const Type& type = types_.type(member.type);
    const bool is_empty = type.kind == TypeKind::Struct && type.size <= 1;
    if (!is_empty) return member.type;
  }
  return TypeId::none();
}

bool Layouts::begins_with(TypeId outer, TypeId inner) {
  for (int level = 0; level < kMostLevels && outer.valid(); ++level) {
    if (outer == inner) return true;
    const Type& a = types_.type(outer);
    const Type& b = types_.type(inner);
    if (a.kind == b.kind && !a.name.empty() && a.name == b.name) return true;
    if (a.kind != TypeKind::Struct) return false;
    outer = first_part(outer);
  }
  return false;
}

bool Layouts::begins_alike(TypeId outer, TypeId inner) {
  const Type& a = types_.type(outer);
  const Type& b = types_.type(inner);
  if (a.kind != TypeKind::Struct || b.kind != TypeKind::Struct || a.size < b.size) return false;
  const std::vector<Leaf>& shared = of(inner).leaves;
  const std::vector<Leaf>& all = of(outer).leaves;
  if (shared.size() < kFewestShared || shared.size() > all.size()) return false;
  return std::equal(shared.begin(), shared.end(), all.begin(), is_same_member);
}

bool Layouts::compatible(TypeId a, TypeId b) {
  if (!a.valid() || !b.valid()) return true;
  return nested(a, b) || begins_alike(a, b) || begins_alike(b, a);
}

}  // namespace heapscan

// One pass over the DIEs in the order of the file, with a stack of what is open. Bodies of
// functions hold what else is of interest only directly or within lexical blocks (static variables,
// local types); everything else in them is stepped over.
#include "symbols/dwarf/unit_types.h"

#include <dwarf.h>

#include <algorithm>
#include <bit>

namespace heapscan {

namespace {

constexpr uint64_t kPointerSize = 8;

}  // namespace

TypeKind kind_of_encoding(uint64_t encoding) {
  switch (encoding) {
    case DW_ATE_boolean:
      return TypeKind::Boolean;
    case DW_ATE_float:
    case DW_ATE_complex_float:
    case DW_ATE_imaginary_float:
    case DW_ATE_decimal_float:
      return TypeKind::Float;
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
      return TypeKind::Character;
    default:
      return TypeKind::Integer;
  }
}

TypeKind kind_of_tag(uint16_t tag) {
  switch (tag) {
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_interface_type:
      return TypeKind::Struct;
    case DW_TAG_union_type:
      return TypeKind::Union;
    case DW_TAG_enumeration_type:
      return TypeKind::Enumeration;
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
      return TypeKind::Pointer;
    case DW_TAG_ptr_to_member_type:
      return TypeKind::MemberPointer;
    case DW_TAG_array_type:
      return TypeKind::Array;
    case DW_TAG_subroutine_type:
      return TypeKind::Function;
    case DW_TAG_subrange_type:
      return TypeKind::Integer;
    default:
      return TypeKind::Unknown;
  }
}

namespace {

bool is_type(uint16_t tag) {
  return tag == DW_TAG_base_type || tag == DW_TAG_unspecified_type || tag == DW_TAG_subrange_type ||
         is_alias(tag) || kind_of_tag(tag) != TypeKind::Unknown;
}

class UnitWalk {
 public:
  UnitWalk(const UnitReader& reader, UnitFinder& others, bool assume_cpp, UnitTypes& out)
      : reader_(reader), others_(others), out_(out), cpp_(assume_cpp) {}

  void walk() {
    out_.clear();
    out_.space = reader_.unit().space;
    out_.begin = reader_.unit().begin;
    out_.end = reader_.unit().end;
    if (!reader_.valid()) {
      out_.damaged = true;
      return;
    }
    if (const auto language = reader_.number(reader_.root().find(Attribute::Language)))
      cpp_ = is_cpp(*language);
    out_.is_split = reader_.root().has(Attribute::DwoName);
    if (!reader_.root().has_children) return;
    open_.push_back({Level::Kind::Scope, 0, 0});
    uint64_t at = reader_.root().next;
    while (!open_.empty() && at < reader_.unit().end) {
      if (!reader_.read(at, die_) || open_.size() > kDeepestDie) {
        out_.damaged = true;
        break;
      }
      at = die_.next;
      if (die_.tag == 0) {
        close(at);
      } else if (open_.back().kind == Level::Kind::Ignored) {
        if (die_.has_children) at = ignore();
      } else {
        at = visit();
      }
    }
    sort_members();
    place_in_scopes();
  }

 private:
  struct Level {
    enum class Kind : uint8_t { Scope, Record, Array, Enumeration, Function, Ignored };
    Kind kind;
    uint32_t scope;
    uint32_t type;  // of a record, array or enumeration
  };

  void close(uint64_t at) {
    const Level& level = open_.back();
    if (level.kind != Level::Kind::Ignored && open_.size() > 1) {
      const bool own_scope = open_[open_.size() - 2].scope != level.scope;
      if (own_scope) out_.scopes[level.scope].end = at;
    }
    open_.pop_back();
  }

  // Where to go on when the children of this DIE say nothing.
  uint64_t ignore() {
    if (const auto behind = reader_.behind_children(die_)) return *behind;
    open_.push_back({Level::Kind::Ignored, open_.back().scope, 0});
    return die_.next;
  }

  std::string_view name_of(const Die& die) { return counted_name(reader_.name_of(die)); }

  std::string_view counted_name(std::string_view name) {
    if (name.size() > out_.names_left) {
      out_.damaged = true;
      return {};
    }
    out_.names_left -= name.size();
    return name;
  }

  uint64_t enter(Level::Kind kind, uint32_t scope, uint32_t type = 0) {
    if (die_.has_children) open_.push_back({kind, scope, type});
    return die_.next;
  }

  uint64_t visit() {
    const Level level = open_.back();
    if (level.kind == Level::Kind::Array && die_.tag == DW_TAG_subrange_type) {
      add_dimension(level.type);
    } else if (level.kind == Level::Kind::Enumeration) {
      if (die_.tag == DW_TAG_enumerator) add_enumerator(out_.types[level.type]);
    } else if (is_type(die_.tag)) {
      return visit_type();
    } else if (die_.tag == DW_TAG_member || die_.tag == DW_TAG_inheritance) {
      if (level.kind == Level::Kind::Record) add_member(level.type);
    } else if (die_.tag == DW_TAG_variable) {
      add_variable();
    } else if (die_.tag == DW_TAG_namespace || die_.tag == DW_TAG_module) {
      const std::string_view name = name_of(die_);
      return enter(Level::Kind::Scope,
                   add_scope(name.empty() ? "(anonymous namespace)" : name, open_.back().scope));
    } else if (die_.tag == DW_TAG_subprogram && level.kind != Level::Kind::Record) {
      if (die_.has_children) return enter(Level::Kind::Function, add_function_scope());
    } else if (die_.tag == DW_TAG_lexical_block || die_.tag == DW_TAG_common_block) {
      return enter(level.kind, level.scope, level.type);
    }
    return die_.has_children ? ignore() : die_.next;
  }

  uint32_t add_scope(std::string_view name, uint32_t parent) {
    Scope scope;
    scope.parent = parent;
    scope.around = open_.back().scope;
    scope.begin = die_.offset;
    scope.name = name;
    scope.hash = qualified_hash(out_.scopes[parent], name);
    out_.scopes.push_back(scope);
    return static_cast<uint32_t>(out_.scopes.size() - 1);
  }

  uint32_t add_function_scope() {
    const std::string_view name = name_of(die_);
    if (!name.empty()) return qualifying_types(add_scope(name, open_.back().scope));
    const Origin origin = follow_origin(die_);
    // Scopes of another unit hold nothing of this one.
    uint32_t parent = origin.outer.empty() ? open_.back().scope : 0;
    for (const std::string_view outer : origin.outer) {
      parent = add_scope(outer, parent);
      out_.scopes[parent].end = die_.offset;
    }
    const uint32_t id = add_scope(origin.name, parent);
    out_.scopes[id].declared_at = origin.declared_at;
    return qualifying_types(id);
  }

  uint32_t qualifying_types(uint32_t function) {
    out_.scopes[function].in_types = cpp_;
    return function;
  }

  static DieRef origin_of(const UnitReader& reader, const Die& die) {
    const DieRef specification = reader.reference(die.find(Attribute::Specification));
    return specification.valid() ? specification
                                 : reader.reference(die.find(Attribute::AbstractOrigin));
  }

  // What a DIE leaves to the one that it is an instance or the definition of.
  struct Origin {
    std::string_view name;
    DieRef type;
    uint64_t declared_at = 0;  // within this unit
    std::vector<std::string_view> outer;
  };
  Origin follow_origin(const Die& die) {
    Origin origin;
    const UnitReader* reader = &reader_;
    bool alternate = false;  // whether the reader is of the alternate file
    const auto as_seen_here = [&](DieRef ref) {
      return alternate && ref.valid() && ref.space() == DieRef::Space::Info
                 ? DieRef(DieRef::Space::Alternate, ref.offset())
                 : ref;
    };
    DieRef next = origin_of(*reader, die);
    for (int i = 0; i < kMostOrigins && next.valid(); ++i) {
      if (!reader_.contains(next)) {
        alternate = next.space() == DieRef::Space::Alternate;
        reader = others_.unit_of(next);
      } else {
        alternate = false;
        reader = &reader_;
        // The declaration within the class comes last.
        origin.declared_at = next.offset();
      }
      if (reader == nullptr || !reader->read(next.offset(), other_)) break;
      if (origin.name.empty()) origin.name = counted_name(reader->name_of(other_));
      const bool last = !origin_of(*reader, other_).valid();
      if (last && reader != &reader_) origin.outer = names_around(*reader, next.offset());
      if (!origin.type.valid())
        origin.type = as_seen_here(reader->reference(other_.find(Attribute::Type)));
      next = as_seen_here(origin_of(*reader, other_));
    }
    return origin;
  }

  // The namespaces and classes that a DIE of another unit is in, from the outside in.
  std::vector<std::string_view> names_around(const UnitReader& reader, uint64_t die) {
    std::vector<std::string_view> names;
    Die at;
    uint64_t next = reader.root().next;
    while (next < die && reader.read(next, at) && out_.others_left > 0) {
      --out_.others_left;
      next = at.next;
      if (at.tag == 0) {
        if (names.empty()) break;
        names.pop_back();
      } else if (at.has_children) {
        const auto behind = reader.behind_children(at);
        if (behind && *behind <= die) {
          next = *behind;
        } else {
          if (names.size() >= kDeepestDie) return {};
          const bool qualifies =
              at.tag == DW_TAG_namespace || kind_of_tag(at.tag) == TypeKind::Struct;
          names.push_back(qualifies ? reader.name_of(at) : std::string_view());
        }
      }
    }
    std::erase(names, std::string_view());
    return names;
  }

  uint64_t visit_type() {
    RawType type;
    type.die = die_.offset;
    type.tag = die_.tag;
    type.kind = die_.tag == DW_TAG_base_type
                    ? kind_of_encoding(
                          reader_.number(die_.find(Attribute::Encoding)).value_or(DW_ATE_signed))
                    : kind_of_tag(die_.tag);
    type.name = name_of(die_);
    type.size = reader_.number(die_.find(Attribute::ByteSize)).value_or(0);
    type.target = reader_.reference(die_.find(Attribute::Type));
    type.declared = reader_.flag(die_.find(Attribute::Declaration));
    type.is_class = cpp_;
    type.scope = type_scope();
    switch (type.kind) {
      case TypeKind::Pointer:
        if (type.size == 0) type.size = kPointerSize;
        break;
      case TypeKind::Struct:
      case TypeKind::Union:
      case TypeKind::Enumeration:
        return visit_named_type(type);
      case TypeKind::Array: {
        type.first = static_cast<uint32_t>(out_.dimensions.size());
        const uint32_t index = add(type);
        return enter(Level::Kind::Array, open_.back().scope, index);
      }
      default:
        break;
    }
    add(type);
    return die_.has_children ? ignore() : die_.next;
  }

  uint64_t visit_named_type(RawType& type) {
    type.target = reader_.reference(die_.find(Attribute::Signature));
    const DieRef specification = reader_.reference(die_.find(Attribute::Specification));
    if (const auto declared = out_.find(specification)) {
      type.name = out_.types[*declared].name;
      type.scope = out_.types[*declared].scope;
    }
    if (type.kind == TypeKind::Enumeration) {
      return enter(Level::Kind::Enumeration, open_.back().scope, add(type));
    }
    const uint32_t index = add(type);
    if (!die_.has_children) return die_.next;
    uint32_t scope = open_.back().scope;
    if (!type.name.empty() && cpp_) {
      scope = add_scope(type.name, type.scope);
    }
    return enter(Level::Kind::Record, scope, index);
  }

  uint32_t add(const RawType& type) {
    out_.types.push_back(type);
    return static_cast<uint32_t>(out_.types.size() - 1);
  }

  // C has no qualified types.
  [[nodiscard]] uint32_t type_scope() const {
    uint32_t scope = open_.back().scope;
    while (scope != 0 && !out_.scopes[scope].in_types) scope = out_.scopes[scope].parent;
    return scope;
  }

  // Negative ones are marks beside the values that are counted.
  void add_enumerator(RawType& enumeration) {
    constexpr uint64_t kGreatest = uint64_t{1} << 62;
    const auto value = reader_.number(die_.find(Attribute::ConstValue));
    if (!value || static_cast<int64_t>(*value) < 0) return;
    const uint64_t values = *value < kGreatest ? std::bit_ceil(*value + 1) : ~uint64_t{0};
    enumeration.values = std::max(enumeration.values, values);
  }

  void add_dimension(uint32_t array) {
    RawType& type = out_.types[array];
    if (type.first + type.count != out_.dimensions.size()) return;
    uint64_t count = 0;
    if (const auto given = reader_.number(die_.find(Attribute::Count))) {
      count = *given;
    } else if (const AttributeValue* const bound = die_.find(Attribute::UpperBound)) {
      const auto upper = reader_.number(bound);
      const bool minus_one = bound->form == DW_FORM_data4 && bound->value == 0xffffffffU;
      if (upper && !minus_one) count = *upper + 1;
    }
    out_.dimensions.push_back(count);
    ++type.count;
  }

  void add_member(uint32_t owner) {
    // A static member is only declared here.
    if (die_.has(Attribute::External) || die_.has(Attribute::Declaration)) return;
    RawMember member;
    member.owner = owner;
    member.name = name_of(die_);
    member.type = reader_.reference(die_.find(Attribute::Type));
    member.is_base = die_.tag == DW_TAG_inheritance;
    if (const auto bits = reader_.number(die_.find(Attribute::DataBitOffset))) {
      member.offset = *bits / 8;
      member.is_bit_field = true;
    } else if (const AttributeValue* const location = die_.find(Attribute::DataMemberLocation)) {
      const auto offset = constant_member_offset(reader_, *location);
      if (!offset) return;  // of a virtual base
      member.offset = *offset;
    }
    member.is_bit_field = member.is_bit_field || die_.has(Attribute::BitSize);
    out_.members.push_back(member);
  }

  void add_variable() {
    const auto location = reader_.block(die_.find(Attribute::Location));
    const auto place = location ? static_place(reader_, *location) : std::nullopt;
    if (!place) return;
    RawVariable variable;
    variable.scope = open_.back().scope;
    variable.name = name_of(die_);
    variable.type = reader_.reference(die_.find(Attribute::Type));
    variable.place = place->value;
    variable.is_thread_local = place->is_thread_local;
    if (variable.name.empty() || !variable.type.valid()) {
      Origin origin = follow_origin(die_);
      if (variable.name.empty()) {
        variable.name = origin.name;
        variable.declared_at = origin.declared_at;
        variable.outer = std::move(origin.outer);
      }
      if (!variable.type.valid()) variable.type = origin.type;
    }
    if (!variable.name.empty() && variable.type.valid()) out_.variables.push_back(variable);
  }

  // Declarations may come behind what they declare, so this waits until all scopes are known.
  void place_in_scopes() {
    for (RawVariable& variable : out_.variables) {
      if (variable.declared_at != 0) variable.scope = out_.scope_of(variable.declared_at);
    }
    bool moved = false;
    for (Scope& scope : out_.scopes) {
      if (scope.declared_at == 0) continue;
      scope.parent = out_.scope_of(scope.declared_at);
      moved = true;
    }
    if (!moved) return;
    for (uint32_t i = 1; i < out_.scopes.size(); ++i) out_.scopes[i].hash = out_.hash_of_scope(i);
  }

  void sort_members() {
    std::stable_sort(out_.members.begin(), out_.members.end(),
                     [](const RawMember& a, const RawMember& b) { return a.owner < b.owner; });
    for (size_t i = 0; i < out_.members.size(); ++i) {
      RawType& owner = out_.types[out_.members[i].owner];
      if (owner.count++ == 0) owner.first = static_cast<uint32_t>(i);
    }
  }

  const UnitReader& reader_;
  UnitFinder& others_;
  UnitTypes& out_;
  bool cpp_;
  std::vector<Level> open_;
  Die die_;
  Die other_;
};

}  // namespace

void read_unit_types(const UnitReader& reader, UnitFinder& others, bool assume_cpp,
                     UnitTypes& out) {
  UnitWalk(reader, others, assume_cpp, out).walk();
}

}  // namespace heapscan

// As for inlined calls: libdw finds the units, and in them only functions and blocks are entered that
// have code of one of the queries. A variable is the value in a register where its location list has
// it there from some instruction of the query on: that is where the source assigns it. Memory is
// known by the register that leads to it: a variable that is in that register points to it, or it
// lies in the frame, for which the register stands for itself, wherever it may point.
#include "symbols/dwarf/named_values.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "symbols/dwarf/die_walk.h"
#include "symbols/dwarf/frames.h"
#include "symbols/dwarf/libdw_file.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostValueSteps = 4'000'000;  // entries, locations and queries looked at
constexpr size_t kLongestValueName = 1024;       // bytes
constexpr int kMostAliases = 32;                 // typedefs and qualifiers around one type
constexpr int kDeepestMember = 8;
// Where a register points while places are compared: far from every address that code could name.
constexpr uint64_t kPretended = uint64_t{1} << 60;

std::string bounded_name(const char* name) {
  return name == nullptr ? std::string() : std::string(name, ::strnlen(name, kLongestValueName));
}

// A type without typedefs and qualifiers, and what the last typedef in front of it was called.
struct PeeledType {
  Dwarf_Die die{};
  std::string alias;
  bool is_void = false;

  [[nodiscard]] int tag() { return is_void ? DW_TAG_unspecified_type : dwarf_tag(&die); }
  [[nodiscard]] uint64_t bytes() {
    Dwarf_Word size = 0;
    return !is_void && dwarf_aggregate_size(&die, &size) == 0 ? size : 0;
  }
};

std::optional<Dwarf_Die> type_named_by(Dwarf_Die& die) {
  Dwarf_Attribute attribute;
  Dwarf_Die type;
  if (dwarf_attr_integrate(&die, DW_AT_type, &attribute) == nullptr ||
      dwarf_formref_die(&attribute, &type) == nullptr)
    return std::nullopt;
  return type;
}

// What `die` says its type is, or that of its target; nothing where there are too many aliases.
std::optional<PeeledType> peeled_type_of(Dwarf_Die& die) {
  PeeledType type;
  Dwarf_Die at = die;
  for (int i = 0; i < kMostAliases; ++i) {
    const auto next = type_named_by(at);
    if (!next) {
      type.is_void = true;
      return type;
    }
    at = *next;
    switch (dwarf_tag(&at)) {
      case DW_TAG_typedef:
        type.alias = bounded_name(dwarf_diename(&at));
        break;
      case DW_TAG_const_type:
      case DW_TAG_volatile_type:
      case DW_TAG_restrict_type:
      case DW_TAG_atomic_type:
        break;
      default:
        type.die = at;
        return type;
    }
  }
  return std::nullopt;
}

bool is_pointer_tag(int tag) {
  return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
         tag == DW_TAG_rvalue_reference_type;
}

bool is_record_tag(int tag) {
  return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

TypeKind kind_of_pointee(PeeledType& type) {
  const int tag = type.tag();
  if (is_pointer_tag(tag)) return TypeKind::Pointer;
  if (tag == DW_TAG_union_type) return TypeKind::Union;
  if (is_record_tag(tag)) return TypeKind::Struct;
  if (tag == DW_TAG_enumeration_type) return TypeKind::Enumeration;
  if (tag == DW_TAG_array_type) return TypeKind::Array;
  if (tag != DW_TAG_base_type) return TypeKind::Unknown;
  switch (number_of(type.die, DW_AT_encoding).value_or(0)) {
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
      return TypeKind::Character;
    case DW_ATE_float:
      return TypeKind::Float;
    case DW_ATE_boolean:
      return TypeKind::Boolean;
    default:
      return TypeKind::Integer;
  }
}

class NamedValuesWalk {
 public:
  NamedValuesWalk(const LibdwFile& libdw, const ElfFile* code, std::span<const ValueQuery> queries)
      : libdw_(libdw), queries_(queries), found_(queries.size()), cfas_(2 * queries.size()) {
    if (code != nullptr) frames_ = CallFrames::open(*code);
  }

  [[nodiscard]] bool may_go_on() { return steps_.take(); }

  void walk(size_t unit, Dwarf_Die root, std::span<const size_t> which) {
    steps_.enter(libdw_, unit);
    walk_dies(
        Level{root, {which.begin(), which.end()}, {}}, steps_, [&] { return may_go_on(); },
        [&](Dwarf_Die& die, const Level& around) { return visit(die, around); });
  }

  std::vector<std::optional<NamedValue>> take() { return std::move(found_); }

 private:
  struct Level {
    Dwarf_Die die;
    std::vector<size_t> which;  // of the queries
    std::optional<Dwarf_Die> function;
  };

  // Of the instruction that writes the value to memory.
  enum class Moment : uint8_t { Before, Behind };

  std::optional<Level> visit(Dwarf_Die& die, const Level& around) {
    switch (dwarf_tag(&die)) {
      case DW_TAG_formal_parameter:
      case DW_TAG_variable:
        if (around.function) look_at_variable(die, around);
        return std::nullopt;
      case DW_TAG_namespace:
        return Level{die, around.which, {}};
      case DW_TAG_subprogram:
      case DW_TAG_lexical_block:
      case DW_TAG_inlined_subroutine:
        return enter(die, around);
      default:
        return std::nullopt;
    }
  }

  std::optional<Level> enter(Dwarf_Die& die, const Level& around) {
    const bool is_function = dwarf_tag(&die) == DW_TAG_subprogram;
    if (!has_code(die)) {
      // A block without code of its own has that of what is around it.
      if (dwarf_tag(&die) != DW_TAG_lexical_block) return std::nullopt;
      return Level{die, around.which, around.function};
    }
    Level level{die, {}, around.function};
    if (is_function) level.function = die;
    for (const size_t i : around.which) {
      if (!may_go_on()) break;
      const ValueQuery& query = queries_[i];
      if (dwarf_haspc(&die, query.begin.value) > 0 ||
          (query.end > query.begin && dwarf_haspc(&die, query.end.value - 1) > 0))
        level.which.push_back(i);
    }
    if (level.which.empty()) return std::nullopt;
    if (is_function) look_at_result(die, level.which);
    return level;
  }

  void look_at_result(Dwarf_Die& function, const std::vector<size_t>& which) {
    std::optional<std::optional<NamedValue>> result;
    for (const size_t i : which) {
      if (queries_[i].kind != ValuePlace::Kind::Returned) continue;
      if (!result) {
        const auto type = peeled_type_of(function);
        result = type ? pointer_named("", *type) : std::nullopt;
      }
      if (*result) take_if_better(i, **result);
    }
  }

  void look_at_variable(Dwarf_Die& die, const Level& around) {
    Dwarf_Attribute location;
    if (dwarf_attr(&die, DW_AT_location, &location) == nullptr) return;
    for (const size_t i : around.which) {
      const ValuePlace::Kind kind = queries_[i].kind;
      if (kind == ValuePlace::Kind::Memory || kind == ValuePlace::Kind::Behind)
        look_at_memory(die, location, around, i);
    }
    look_at_registers(die, location, around.which);
  }

  // Where the variable comes to be in a register.
  void look_at_registers(Dwarf_Die& die, Dwarf_Attribute& location,
                         const std::vector<size_t>& which) {
    const bool is_asked = std::any_of(which.begin(), which.end(), [&](size_t i) {
      return queries_[i].kind == ValuePlace::Kind::Register;
    });
    if (!is_asked) return;
    Dwarf_Addr base = 0;
    Dwarf_Addr begin = 0;
    Dwarf_Addr end = 0;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    for (ptrdiff_t at = 0; may_go_on();) {
      at = dwarf_getlocations(&location, at, &base, &begin, &end, &operations, &count);
      if (at <= 0) break;
      steps_.parse(count);
      const auto reg = register_of(std::span(operations, count));
      if (!reg) continue;
      for (const size_t i : which) {
        const ValueQuery& query = queries_[i];
        if (query.kind != ValuePlace::Kind::Register || query.reg != *reg ||
            begin < query.begin.value || begin >= query.end.value || !may_go_on())
          continue;
        if (const auto named = named_variable(die)) take_if_better(i, *named);
      }
    }
  }

  [[nodiscard]] static std::optional<uint64_t> register_of(std::span<const Dwarf_Op> operations) {
    if (operations.size() != 1) return std::nullopt;
    const Dwarf_Op& operation = operations[0];
    if (operation.atom >= DW_OP_reg0 && operation.atom <= DW_OP_reg31)
      return operation.atom - DW_OP_reg0;
    return operation.atom == DW_OP_regx ? std::optional(operation.number) : std::nullopt;
  }

  void look_at_memory(Dwarf_Die& die, Dwarf_Attribute& location, const Level& around, size_t i) {
    const ValueQuery& query = queries_[i];
    if (!may_go_on() || !may_go_on()) return;
    const uint64_t wanted = kPretended + static_cast<uint64_t>(query.displacement);
    const auto before = place_at(location, around, i, Moment::Before);
    if (query.kind == ValuePlace::Kind::Behind) {
      if (before && before->kind == ExpressionResult::Kind::Address && before->value == wanted)
        name_member_behind(die, query.member, i);
      return;
    }
    if (before && before->kind == ExpressionResult::Kind::Register) {
      if (before->value == query.reg) name_member_behind(die, query.displacement, i);
      return;
    }
    const auto behind = place_at(location, around, i, Moment::Behind);
    if (!behind || behind->kind != ExpressionResult::Kind::Address) return;
    name_in_frame(die, wanted - behind->value, i);
  }

  // The variable's place when the query's register, and no other, is known.
  [[nodiscard]] std::optional<ExpressionResult> place_at(Dwarf_Attribute& location,
                                                         const Level& around, size_t i,
                                                         Moment moment) {
    const ValueQuery& query = queries_[i];
    const FileAddr pc = moment == Moment::Before ? query.begin : query.end;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_getlocation_addr(&location, pc.value, &operations, &count, 1) != 1)
      return std::nullopt;
    steps_.parse(count);
    FrameRegisters registers;
    registers[query.reg] = kPretended;
    std::optional<std::optional<uint64_t>>& known = cfas_[2 * i + static_cast<size_t>(moment)];
    if (!known) known = cfa_at(pc, registers);
    const std::optional<uint64_t> cfa = *known;
    Dwarf_Die function = *around.function;
    return evaluate(std::span(operations, count),
                    {image_, registers, cfa, frame_base(function, pc, registers, cfa)});
  }

  [[nodiscard]] std::optional<uint64_t> cfa_at(FileAddr pc, const FrameRegisters& registers) const {
    const DwarfFrame rules = frames_ ? frames_->at(pc) : nullptr;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (!rules || dwarf_frame_cfa(rules.get(), &operations, &count) != 0) return std::nullopt;
    const auto result = evaluate(std::span(operations, count), {image_, registers, {}, {}});
    if (!result || result->kind == ExpressionResult::Kind::Register) return std::nullopt;
    return result->value;
  }

  [[nodiscard]] std::optional<uint64_t> frame_base(Dwarf_Die& function, FileAddr pc,
                                                   const FrameRegisters& registers,
                                                   std::optional<uint64_t> cfa) const {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_attr(&function, DW_AT_frame_base, &attribute) == nullptr ||
        dwarf_getlocation_addr(&attribute, pc.value, &operations, &count, 1) != 1)
      return std::nullopt;
    const auto result = evaluate(std::span(operations, count), {image_, registers, cfa, {}});
    if (!result) return std::nullopt;
    if (result->kind != ExpressionResult::Kind::Register) return result->value;
    return result->value < kFrameRegisters ? registers[result->value] : std::nullopt;
  }

  // The variable leads to the memory, which begins `at` bytes behind what it points to.
  void name_member_behind(Dwarf_Die& die, int64_t at, size_t i) {
    auto pointer = peeled_type_of(die);
    if (!pointer || !is_pointer_tag(pointer->tag()) || at < 0) return;
    auto target = peeled_type_of(pointer->die);
    if (!target) return;
    const std::string name = name_of_variable(die);
    const auto offset = static_cast<uint64_t>(at);
    if (offset == 0 && is_pointer_tag(target->tag())) {
      if (const auto named = pointer_named("*" + name, *target)) take_if_better(i, *named);
    } else if (const auto named = member_at(name + "->", *target, offset)) {
      take_if_better(i, *named);
    }
  }

  // The memory is `offset` bytes into the variable.
  void name_in_frame(Dwarf_Die& die, uint64_t offset, size_t i) {
    auto type = peeled_type_of(die);
    if (!type) return;
    if (offset == 0 && is_pointer_tag(type->tag())) {
      if (const auto named = pointer_named(name_of_variable(die), *type)) take_if_better(i, *named);
    } else if (offset < type->bytes()) {
      const auto named = member_at(name_of_variable(die) + ".", *type, offset);
      if (named) take_if_better(i, *named);
    }
  }

  [[nodiscard]] static std::string name_of_variable(Dwarf_Die& die) {
    return bounded_name(dwarf_diename(&die));
  }

  [[nodiscard]] std::optional<NamedValue> named_variable(Dwarf_Die& die) {
    const auto type = peeled_type_of(die);
    return type ? pointer_named(name_of_variable(die), *type) : std::nullopt;
  }

  // Nothing unless the type is a pointer.
  [[nodiscard]] static std::optional<NamedValue> pointer_named(std::string name, PeeledType type) {
    if (!is_pointer_tag(type.tag())) return std::nullopt;
    auto target = peeled_type_of(type.die);
    if (!target) return std::nullopt;
    NamedValue value;
    value.name = std::move(name);
    value.pointee = target->is_void ? TypeKind::Void : kind_of_pointee(*target);
    if (value.pointee == TypeKind::Pointer) target = peeled_type_of(target->die);
    if (!target || !is_record_tag(target->tag())) return value;
    value.record = bounded_name(dwarf_diename(&target->die));
    if (value.record.empty()) value.record = target->alias;
    value.record_bytes = target->bytes();
    return value;
  }

  // The pointer at `offset` of a record, however deep it lies.
  [[nodiscard]] std::optional<NamedValue> member_at(std::string name, PeeledType type,
                                                    uint64_t offset) {
    for (int depth = 0; depth < kDeepestMember; ++depth) {
      if (type.tag() == DW_TAG_array_type) {
        auto element = peeled_type_of(type.die);
        const uint64_t bytes = element ? element->bytes() : 0;
        if (bytes == 0) return std::nullopt;
        if (name.ends_with('.')) name.pop_back();
        name += "[]";
        offset %= bytes;
        type = *element;
        if (offset == 0 && is_pointer_tag(type.tag())) return pointer_named(std::move(name), type);
        name += ".";
        continue;
      }
      if (!is_record_tag(type.tag())) return std::nullopt;
      auto member = member_around(type, offset);
      if (!member) return std::nullopt;
      const std::string own = name_of_variable(member->die);
      name += own;
      offset -= member->offset;
      if (offset == 0 && is_pointer_tag(member->type.tag()))
        return pointer_named(std::move(name), member->type);
      if (!own.empty() && member->type.tag() != DW_TAG_array_type) name += ".";
      type = member->type;
    }
    return std::nullopt;
  }

  struct MemberHere {
    Dwarf_Die die{};
    PeeledType type;
    uint64_t offset = 0;
  };

  // The first that has the byte; of a union another may be meant.
  [[nodiscard]] std::optional<MemberHere> member_around(PeeledType& record, uint64_t offset) {
    Dwarf_Die child;
    if (dwarf_child(&record.die, &child) != 0) return std::nullopt;
    do {
      if (!may_go_on()) break;
      const int tag = dwarf_tag(&child);
      if (tag != DW_TAG_member && tag != DW_TAG_inheritance) continue;
      if (dwarf_hasattr(&child, DW_AT_external) != 0) continue;
      const uint64_t begin = number_of(child, DW_AT_data_member_location).value_or(0);
      if (begin > offset) continue;
      auto type = peeled_type_of(child);
      if (type && offset - begin < type->bytes()) return MemberHere{child, *type, begin};
    } while (dwarf_siblingof(&child, &child) == 0);
    return std::nullopt;
  }

  // Wrappers that were inlined have a `void *` before the caller has its own; an object that a
  // constructor fills is its `this` before it is a variable.
  void take_if_better(size_t i, const NamedValue& value) {
    const auto rank = [](const NamedValue& v) {
      const bool says_nothing = v.pointee == TypeKind::Void || v.pointee == TypeKind::Unknown;
      const bool is_record = v.pointee == TypeKind::Struct || v.pointee == TypeKind::Union;
      return says_nothing ? 0 : is_record ? 2 : 1;
    };
    if (!found_[i] || rank(value) > rank(*found_[i]) ||
        (rank(value) == rank(*found_[i]) && found_[i]->name == "this"))
      found_[i] = value;
  }

  const LibdwFile& libdw_;
  std::span<const ValueQuery> queries_;
  std::vector<std::optional<NamedValue>> found_;
  std::optional<CallFrames> frames_;
  std::vector<std::optional<std::optional<uint64_t>>> cfas_;  // two per query, once asked for
  MemoryImage image_;                                         // nothing of it is known here
  DieSteps steps_{kMostValueSteps};
};

}  // namespace

std::vector<std::optional<NamedValue>> find_named_values(const DwarfFile& file, const ElfFile* code,
                                                         std::span<const ValueQuery> queries) {
  const auto libdw = queries.empty() ? std::nullopt : LibdwFile::open(file, LibdwFile::Texts::All);
  if (!libdw) return std::vector<std::optional<NamedValue>>(queries.size());
  std::vector<FileAddr> addresses;
  for (const ValueQuery& query : queries) addresses.push_back(query.begin);
  NamedValuesWalk walk(*libdw, code, queries);
  libdw->for_units_with(addresses,
                        [&](size_t unit, Dwarf_Die& root, std::span<const size_t> which) {
                          walk.walk(unit, root, which);
                          return walk.may_go_on();
                        });
  return walk.take();
}

}  // namespace heapscan

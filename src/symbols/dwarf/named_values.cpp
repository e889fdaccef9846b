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
constexpr size_t kLongestValueName = 256;        // bytes, of one variable, member or record
constexpr size_t kLongestMemberPath = 1024;      // bytes, of all names up to a member
constexpr size_t kMostNameBytes = 64 << 20;      // of all answers
constexpr size_t kMostFrames = 20'000;           // that call frame information is asked for
constexpr int kMostDimensions = 4;
constexpr int kMostAliases = 32;  // typedefs and qualifiers around one type
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
  return kind_of_tag(static_cast<uint16_t>(tag)) == TypeKind::Pointer;
}

bool is_record_tag(int tag) { return is_record(kind_of_tag(static_cast<uint16_t>(tag))); }

TypeKind kind_of_pointee(PeeledType& type) {
  if (type.is_void) return TypeKind::Void;
  if (type.tag() != DW_TAG_base_type) return kind_of_tag(static_cast<uint16_t>(type.tag()));
  return kind_of_encoding(number_of(type.die, DW_AT_encoding).value_or(DW_ATE_signed));
}

class NamedValuesWalk {
 public:
  NamedValuesWalk(const LibdwFile& libdw, const ElfFile* code, std::span<const ValueQuery> queries)
      : libdw_(libdw), queries_(queries), found_(queries.size()), frames_of_(2 * queries.size()) {
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

  // Where a variable is, in [begin, end).
  struct Place {
    Dwarf_Addr begin = 0;
    Dwarf_Addr end = 0;
    std::span<const Dwarf_Op> operations;
  };
  struct Named {
    Dwarf_Die& die;
    const std::string& name;
  };
  // As far as it is known when one register is.
  struct FrameOfQuery {
    std::optional<uint64_t> cfa;
    std::optional<uint64_t> base;
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
        steps_.compare(around.which.size());
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
    steps_.compare(around.which.size());
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
      take(i, *result);
    }
  }

  void look_at_variable(Dwarf_Die& die, const Level& around) {
    Dwarf_Attribute location;
    if (dwarf_attr(&die, DW_AT_location, &location) == nullptr) return;
    const std::string name = bounded_name(dwarf_diename(&die));
    if (name.empty()) return;
    Dwarf_Addr base = 0;
    Dwarf_Addr begin = 0;
    Dwarf_Addr end = 0;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    for (ptrdiff_t at = 0; may_go_on();) {
      at = dwarf_getlocations(&location, at, &base, &begin, &end, &operations, &count);
      if (at <= 0) break;
      steps_.parse(count);
      const Place place{begin, end, std::span(operations, count)};
      for (const size_t i : around.which) look_at_place({die, name}, place, around, i);
      steps_.compare(around.which.size());
    }
  }

  void look_at_place(Named variable, const Place& place, const Level& around, size_t i) {
    const ValueQuery& query = queries_[i];
    switch (query.kind) {
      case ValuePlace::Kind::Register:
        // Where the variable comes to be there.
        if (place.begin >= query.begin.value && place.begin < query.end.value &&
            register_of(place.operations) == query.reg)
          name_variable(variable, i);
        break;
      case ValuePlace::Kind::Memory:
      case ValuePlace::Kind::Behind:
        if (may_go_on()) look_at_memory(variable, place, around, i);
        break;
      case ValuePlace::Kind::Returned:
        break;
    }
  }

  [[nodiscard]] static std::optional<uint64_t> register_of(std::span<const Dwarf_Op> operations) {
    if (operations.size() != 1) return std::nullopt;
    const Dwarf_Op& operation = operations[0];
    if (operation.atom >= DW_OP_reg0 && operation.atom <= DW_OP_reg31)
      return operation.atom - DW_OP_reg0;
    return operation.atom == DW_OP_regx ? std::optional(operation.number) : std::nullopt;
  }

  void look_at_memory(Named variable, const Place& place, const Level& around, size_t i) {
    const ValueQuery& query = queries_[i];
    const uint64_t wanted = kPretended + static_cast<uint64_t>(query.displacement);
    const auto before = place_at(place, around, i, Moment::Before);
    const bool is_address = before && before->kind == ExpressionResult::Kind::Address;
    if (query.kind == ValuePlace::Kind::Behind) {
      if (is_address && before->value == wanted) name_member_behind(variable, query.member, i);
      return;
    }
    if (before && before->kind == ExpressionResult::Kind::Register && before->value == query.reg)
      name_member_behind(variable, query.displacement, i);
    const auto behind = place_at(place, around, i, Moment::Behind);
    if (behind && behind->kind == ExpressionResult::Kind::Address)
      name_in_frame(variable, wanted - behind->value, i);
  }

  // The variable's place when the query's register, and no other, is known.
  [[nodiscard]] std::optional<ExpressionResult> place_at(const Place& place, const Level& around,
                                                         size_t i, Moment moment) {
    const ValueQuery& query = queries_[i];
    const FileAddr pc = moment == Moment::Before ? query.begin : query.end;
    if (pc.value < place.begin || pc.value >= place.end) return std::nullopt;
    FrameRegisters registers;
    registers[query.reg] = kPretended;
    std::optional<FrameOfQuery>& frame = frames_of_[2 * i + static_cast<size_t>(moment)];
    if (!frame) {
      frame.emplace();
      frame->cfa = cfa_at(pc, registers);
      Dwarf_Die function = *around.function;
      frame->base = frame_base(function, registers, frame->cfa);
    }
    return evaluate(place.operations, {image_, registers, frame->cfa, frame->base});
  }

  [[nodiscard]] std::optional<uint64_t> cfa_at(FileAddr pc, const FrameRegisters& registers) {
    if (!frames_ || frames_asked_++ >= kMostFrames) return std::nullopt;
    const DwarfFrame rules = frames_->at(pc);
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (!rules || dwarf_frame_cfa(rules.get(), &operations, &count) != 0) return std::nullopt;
    const auto result = evaluate(std::span(operations, count), {image_, registers, {}, {}});
    if (!result || result->kind == ExpressionResult::Kind::Register) return std::nullopt;
    return result->value;
  }

  // Compilers give one expression for all of a function.
  [[nodiscard]] std::optional<uint64_t> frame_base(Dwarf_Die& function,
                                                   const FrameRegisters& registers,
                                                   std::optional<uint64_t> cfa) {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_attr(&function, DW_AT_frame_base, &attribute) == nullptr ||
        dwarf_whatform(&attribute) != DW_FORM_exprloc ||
        dwarf_getlocation(&attribute, &operations, &count) != 0)
      return std::nullopt;
    steps_.parse(count);
    const auto result = evaluate(std::span(operations, count), {image_, registers, cfa, {}});
    if (!result) return std::nullopt;
    if (result->kind != ExpressionResult::Kind::Register) return result->value;
    return result->value < kFrameRegisters ? registers[result->value] : std::nullopt;
  }

  // The variable leads to the memory, which begins `at` bytes behind what it points to.
  void name_member_behind(Named variable, int64_t at, size_t i) {
    auto pointer = peeled_type_of(variable.die);
    if (!pointer || !is_pointer_tag(pointer->tag()) || at < 0) return;
    auto target = peeled_type_of(pointer->die);
    if (!target) return;
    const auto offset = static_cast<uint64_t>(at);
    if (offset == 0 && is_pointer_tag(target->tag())) {
      take(i, pointer_named("*" + variable.name, *target));
    } else {
      take(i, member_at(variable.name + "->", *target, offset));
    }
  }

  // The memory is `offset` bytes into the variable.
  void name_in_frame(Named variable, uint64_t offset, size_t i) {
    auto type = peeled_type_of(variable.die);
    if (!type) return;
    if (offset == 0 && is_pointer_tag(type->tag())) {
      take(i, pointer_named(variable.name, *type));
    } else if (offset < bytes_of(*type)) {
      take(i, member_at(variable.name + ".", *type, offset));
    }
  }

  void name_variable(Named variable, size_t i) {
    const auto type = peeled_type_of(variable.die);
    if (type && may_go_on()) take(i, pointer_named(variable.name, *type));
  }

  // Nothing unless the type is a pointer.
  [[nodiscard]] std::optional<NamedValue> pointer_named(std::string name, PeeledType type) {
    if (!is_pointer_tag(type.tag())) return std::nullopt;
    auto target = peeled_type_of(type.die);
    if (!target) return std::nullopt;
    NamedValue value;
    value.name = std::move(name);
    value.pointee = kind_of_pointee(*target);
    if (value.pointee == TypeKind::Pointer) target = peeled_type_of(target->die);
    if (!target || !is_record_tag(target->tag())) return value;
    value.record = bounded_name(dwarf_diename(&target->die));
    if (value.record.empty()) value.record = target->alias;
    value.record_bytes = bytes_of(*target);
    return value;
  }

  // The pointer at `offset` of a record, however deep it lies.
  [[nodiscard]] std::optional<NamedValue> member_at(std::string name, PeeledType type,
                                                    uint64_t offset) {
    for (int depth = 0; depth < kDeepestMember && name.size() <= kLongestMemberPath; ++depth) {
      if (type.tag() == DW_TAG_array_type) {
        auto element = peeled_type_of(type.die);
        const uint64_t bytes = element ? bytes_of(*element) : 0;
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
      const std::string own = bounded_name(dwarf_diename(&member->die));
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
    while (may_go_on()) {
      const int tag = dwarf_tag(&child);
      const bool is_member = (tag == DW_TAG_member || tag == DW_TAG_inheritance) &&
                             dwarf_hasattr(&child, DW_AT_external) == 0;
      const uint64_t begin = number_of(child, DW_AT_data_member_location).value_or(0);
      if (is_member && begin <= offset) {
        auto type = peeled_type_of(child);
        if (type && offset - begin < bytes_of(*type)) return MemberHere{child, *type, begin};
      }
      Dwarf_Die next{};
      if (dwarf_siblingof(&child, &next) != 0) break;
      steps_.pass(child, next);
      child = next;
    }
    return std::nullopt;
  }

  // 0: not known. An array without a size of its own has that of its elements.
  [[nodiscard]] uint64_t bytes_of(PeeledType type) {
    if (type.is_void) return 0;
    if (is_pointer_tag(type.tag())) return sizeof(uint64_t);
    uint64_t count = 1;
    if (type.tag() == DW_TAG_array_type && dwarf_hasattr(&type.die, DW_AT_byte_size) == 0) {
      count = count_of(type.die);
      auto element = peeled_type_of(type.die);
      if (!element || element->is_void) return 0;
      type = *element;
      if (is_pointer_tag(type.tag())) return count * sizeof(uint64_t);
    }
    const uint64_t bytes = number_of(type.die, DW_AT_byte_size).value_or(0);
    return bytes != 0 && count > ~uint64_t{0} / bytes ? 0 : count * bytes;
  }

  // Of an array's elements.
  [[nodiscard]] uint64_t count_of(Dwarf_Die& array) {
    constexpr uint64_t kMostElements = uint64_t{1} << 32;
    uint64_t count = 1;
    Dwarf_Die child;
    if (dwarf_child(&array, &child) != 0) return 0;
    for (int i = 0; i < kMostDimensions && may_go_on(); ++i) {
      if (dwarf_tag(&child) == DW_TAG_subrange_type) {
        const auto given = number_of(child, DW_AT_count);
        const auto upper = number_of(child, DW_AT_upper_bound);
        const uint64_t here = given ? *given : upper ? *upper + 1 : 0;
        if (here == 0 || here > kMostElements / count) return 0;
        count *= here;
      }
      Dwarf_Die next{};
      if (dwarf_siblingof(&child, &next) != 0) break;
      steps_.pass(child, next);
      child = next;
    }
    return count;
  }

  // Wrappers that were inlined have a `void *` before the caller has its own; an object that a
  // constructor fills is its `this` before it is a variable.
  void take(size_t i, std::optional<NamedValue> value) {
    if (!value) return;
    const int before = found_[i] ? telling(found_[i]->pointee) : -1;
    const int now = telling(value->pointee);
    const bool is_better = now > before || (now == before && found_[i]->name == "this");
    const size_t bytes = value->name.size() + value->record.size();
    if (!is_better || bytes > names_left_) return;
    names_left_ -= bytes;
    found_[i] = std::move(value);
  }

  const LibdwFile& libdw_;
  std::span<const ValueQuery> queries_;
  std::vector<std::optional<NamedValue>> found_;
  std::optional<CallFrames> frames_;
  size_t frames_asked_ = 0;
  std::vector<std::optional<FrameOfQuery>> frames_of_;  // two per query, once asked for
  size_t names_left_ = kMostNameBytes;                  // bytes
  MemoryImage image_;                                   // nothing of it is known here
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
  walk_units_with(*libdw, addresses, walk);
  return walk.take();
}

}  // namespace heapscan

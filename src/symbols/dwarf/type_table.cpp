#include "symbols/dwarf/type_table.h"

#include <dwarf.h>

#include <algorithm>

namespace heapscan {

namespace {

constexpr size_t kMostTypes = 8'000'000;
constexpr size_t kMostMembers = 32'000'000;
constexpr size_t kMostVariables = 8'000'000;
constexpr uint64_t kMostTypeNameBytes = uint64_t{1} << 30;
constexpr int kMostForwards = 64;

}  // namespace

bool TypeTable::full() const {
  return rows_.size() >= kMostTypes || members_.size() >= kMostMembers ||
         variables_.size() >= kMostVariables || name_bytes_ >= kMostTypeNameBytes;
}

uint32_t TypeTable::add_name(uint64_t hash, std::string text) {
  if (const auto known = name_of_hash_.find(hash)) return *known;
  const auto id = static_cast<uint32_t>(names_.size());
  name_bytes_ += text.size() + sizeof(Name);
  names_.push_back({hash, std::move(text)});
  name_of_hash_.insert(hash, id);
  return id;
}

// False when it was there before; then only its use is counted.
bool TypeTable::add_row(const Row& row) {
  if (const auto known = row_of_key_.find(row.key)) {
    Row& same = rows_[*known];
    same.seen += row.seen;
    if (same.kind == TypeKind::Enumeration) same.count = std::max(same.count, row.count);
    return false;
  }
  row_of_key_.insert(row.key, static_cast<uint32_t>(rows_.size()));
  rows_.push_back(row);
  return true;
}

void TypeTable::add(UnitTypes& unit, bool keep) {
  const UnitKeys keys(unit);
  unit_keys_.clear();
  for (size_t i = 0; i < unit.types.size(); ++i) {
    const RawType& type = unit.types[i];
    unit_keys_.push_back(keys.key(i));
    open_reference(unit, keys, type.target);
    if (!UnitKeys::passes_through(type)) add_type(unit, keys, i);
    if (type.tag == DW_TAG_typedef && !type.name.empty() && keys.outside(type.target).valid()) {
      typedefs_.emplace_back(keys.of(type.target),
                             add_name(qualified_hash(unit.scopes[type.scope], type.name),
                                      unit.qualified(type.scope, type.name)));
    }
    if (!keep) continue;
    const auto space = unit.is_alternate ? DieRef::Space::Alternate : unit.space;
    kept_.emplace_back(key_of_reference(unit.file, DieRef(space, type.die)), keys.key(i));
  }
  for (const RawVariable& variable : unit.variables) add_variable(unit, keys, variable);
}

void TypeTable::add_signature(const UnitTypes& unit, DieRef signature, DieRef die) {
  const auto index = unit.find(die);
  if (index) kept_.emplace_back(key_of_reference(unit.file, signature), unit_keys_[*index]);
}

void TypeTable::open_reference(const UnitTypes& unit, const UnitKeys& keys, DieRef ref) {
  const DieRef outside = keys.outside(ref);
  if (!outside.valid()) return;
  Row row;
  row.key = key_of_reference(unit.file, outside);
  row.open = true;
  (void)add_row(row);
}

void TypeTable::add_type(const UnitTypes& unit, const UnitKeys& keys, size_t index) {
  const RawType& type = unit.types[index];
  const TypeKey target = keys.of(type.target);
  if (type.kind == TypeKind::Array) return add_array(unit, type, target);
  Row row;
  row.key = keys.key(index);
  row.kind = type.kind;
  if (type.kind == TypeKind::Enumeration) row.count = type.values;
  if (row_of_key_.find(row.key)) {
    (void)add_row(row);
    return;
  }
  row.is_class = type.is_class;
  row.declared = type.declared;
  row.size = type.declared && is_record(type.kind) ? 0 : type.size;
  const bool refers = type.kind == TypeKind::Pointer || type.kind == TypeKind::MemberPointer;
  row.target = refers ? target : 0;
  if (type.name.empty() || type.kind == TypeKind::Pointer || type.kind == TypeKind::Function) {
    row.name = add_name(kNoHash, {});
  } else {
    row.name = add_name(qualified_hash(unit.scopes[type.scope], type.name),
                        unit.qualified(type.scope, type.name));
  }
  if (is_record(type.kind)) add_members(unit, keys, type, row);
  (void)add_row(row);
}

void TypeTable::add_array(const UnitTypes& unit, const RawType& type, TypeKey element) {
  const uint32_t dimensions = std::max(type.count, 1U);
  for (uint32_t i = dimensions; i-- > 0;) {
    Row row;
    row.kind = TypeKind::Array;
    row.name = add_name(kNoHash, {});
    row.count = type.count == 0 ? 0 : unit.dimensions[type.first + i];
    row.target = element;
    row.key = key_of_array(row.count, element);
    element = row.key;
    (void)add_row(row);
  }
}

void TypeTable::add_members(const UnitTypes& unit, const UnitKeys& keys, const RawType& type,
                            Row& row) {
  row.first_member = static_cast<uint32_t>(members_.size());
  row.members = type.count;
  for (uint32_t i = 0; i < type.count; ++i) {
    const RawMember& member = unit.members[type.first + i];
    open_reference(unit, keys, member.type);
    RowMember added;
    added.offset = member.offset;
    added.type = keys.of(member.type);
    added.name = add_name(hash_of(member.name), std::string(member.name));
    added.is_base = member.is_base;
    added.is_bit_field = member.is_bit_field;
    members_.push_back(added);
  }
}

void TypeTable::add_variable(const UnitTypes& unit, const UnitKeys& keys,
                             const RawVariable& variable) {
  open_reference(unit, keys, variable.type);
  PlacedVariable placed;
  if (variable.frame != nullptr) {
    const Scope& function = unit.scopes[variable.scope];
    placed.frame = variable.frame;
    placed.function = unit.qualified(function.parent, function.name);
    placed.name = variable.name;
  } else {
    for (const std::string_view name : variable.outer) placed.name += std::string(name) + "::";
    placed.name += unit.qualified(variable.scope, variable.name);
  }
  placed.type = keys.of(variable.type);
  placed.place = variable.place;
  placed.is_thread_local = variable.is_thread_local;
  name_bytes_ += placed.name.size() + placed.function.size() + sizeof placed;
  variables_.push_back(std::move(placed));
}

void TypeTable::add(TypeTable&& other) {
  for (Row row : other.rows_) {
    if (full()) break;
    if (row_of_key_.find(row.key)) {
      (void)add_row(row);
      continue;
    }
    if (!row.open) {
      row.name = add_name(other.names_[row.name].hash, std::move(other.names_[row.name].text));
    }
    const auto first = static_cast<uint32_t>(members_.size());
    for (uint32_t i = 0; i < row.members; ++i) {
      RowMember member = other.members_[row.first_member + i];
      const Name& name = other.names_[member.name];
      member.name = add_name(name.hash, name.text);
      members_.push_back(member);
    }
    row.first_member = first;
    (void)add_row(row);
  }
  std::move(other.variables_.begin(), other.variables_.end(), std::back_inserter(variables_));
  kept_.insert(kept_.end(), other.kept_.begin(), other.kept_.end());
  for (const auto& [reference, name] : other.typedefs_) {
    const Name& text = other.names_[name];
    typedefs_.emplace_back(reference, add_name(text.hash, text.text));
  }
  for (const Row& row : other.rows_) {
    if (const auto to = other.forwards_.find(row.key)) forward(row.key, other.forwarded_[*to]);
  }
}

void TypeTable::set_module(ModuleId module) {
  for (Row& row : rows_) row.module = module;
}

void TypeTable::forward(TypeKey from, TypeKey to) {
  forwards_.insert(from, static_cast<uint32_t>(forwarded_.size()));
  forwarded_.push_back(to);
}

TypeKey TypeTable::meant_by(TypeKey key) const {
  for (int i = 0; i < kMostForwards; ++i) {
    const auto next = forwards_.find(key);
    if (!next) return key;
    key = forwarded_[*next];
  }
  return 0;
}

void TypeTable::resolve_references() {
  std::sort(kept_.begin(), kept_.end());
  for (const Row& row : rows_) {
    if (!row.open) continue;
    const auto kept = std::partition_point(kept_.begin(), kept_.end(),
                                           [&](const auto& k) { return k.first < row.key; });
    if (kept != kept_.end() && kept->first == row.key) forward(row.key, kept->second);
  }
  kept_ = {};
  name_after_typedefs();
}

// Within a unit that is done at once; here typedef and struct are in different units.
void TypeTable::name_after_typedefs() {
  for (const auto& [reference, name] : typedefs_) {
    const auto found = row_of_key_.find(meant_by(reference));
    if (!found) continue;
    Row& row = rows_[*found];
    const bool may = is_record(row.kind) || row.kind == TypeKind::Enumeration;
    if (row.open || !may || !names_[row.name].text.empty()) continue;
    row.name = name;
    row.is_class = true;
  }
  typedefs_ = {};
}

void TypeTable::resolve_declarations() {
  KeyIndex definitions;  // to an index into best
  std::vector<uint32_t> best;
  const auto key_of = [&](const Row& row) {
    return mixed(static_cast<uint64_t>(row.kind), names_[row.name].hash);
  };
  for (uint32_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    if (row.open || row.declared || !is_record(row.kind) || row.size == 0) continue;
    if (names_[row.name].text.empty()) continue;
    if (const auto known = definitions.find(key_of(row))) {
      if (row.seen > rows_[best[*known]].seen) best[*known] = i;
    } else {
      definitions.insert(key_of(row), static_cast<uint32_t>(best.size()));
      best.push_back(i);
    }
  }
  for (const Row& row : rows_) {
    if (row.open || !row.declared || !is_record(row.kind)) continue;
    if (const auto definition = definitions.find(key_of(row)))
      forward(row.key, rows_[best[*definition]].key);
  }
}

void TypeTable::emit(TypesBuilder& builder) {
  ids_.assign(rows_.size(), TypeId::none());
  size_t next = builder.size();
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (!rows_[i].open && !forwards_.find(rows_[i].key)) ids_[i] = TypeId(next++);
  }
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (!ids_[i].valid()) continue;
    const Row& row = rows_[i];
    Type type;
    type.kind = row.kind;
    type.size = row.size;
    type.name = names_[row.name].text;
    type.target = type_of(row.target);
    type.count = row.count;
    type.is_class = row.is_class;
    type.module = row.module;
    const TypeId id = builder.add(std::move(type));
    if (row.members == 0) continue;
    std::vector<Member> members(row.members);
    for (uint32_t m = 0; m < row.members; ++m) {
      const RowMember& from = members_[row.first_member + m];
      members[m] = {from.offset, type_of(from.type), names_[from.name].text, from.is_base,
                    from.is_bit_field};
    }
    builder.set_members(id, std::move(members));
  }
}

TypeId TypeTable::type_of(TypeKey key) const {
  const auto row = row_of_key_.find(meant_by(key));
  return row ? ids_[*row] : TypeId::none();
}

}  // namespace heapscan

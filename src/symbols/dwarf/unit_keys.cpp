#include "symbols/dwarf/type_table.h"

#include <dwarf.h>

namespace heapscan {

namespace {

// What a key is made of first, so that kinds never meet.
enum Seed : uint64_t { kBase = 1, kNamed, kDeclared, kRecord, kPointer, kArray, kReference };
constexpr TypeKey kCircle = 1;  // of a typedef of itself, and the like

bool is_record(const RawType& type) { return is_record(type.kind); }

bool has_target(const RawType& type) {
  return UnitKeys::passes_through(type) || type.kind == TypeKind::Pointer ||
         type.kind == TypeKind::MemberPointer || type.kind == TypeKind::Array;
}

uint64_t seeded(Seed seed, TypeKind kind) { return mixed(seed, static_cast<uint64_t>(kind)); }

}  // namespace

TypeKey key_of_array(uint64_t count, TypeKey element) {
  return mixed(mixed(kArray, count), element);
}

TypeKey key_of_reference(uint32_t file, DieRef ref) {
  // A signature means the same everywhere.
  const uint64_t where = ref.space() == DieRef::Space::Signature ? 0 : uint64_t{file} + 1;
  return mixed(mixed(kReference, where), ref.value());
}

bool UnitKeys::passes_through(const RawType& type) {
  if (is_alias(type.tag)) return true;
  return (is_record(type) || type.kind == TypeKind::Enumeration) && type.target.valid();
}

UnitKeys::UnitKeys(UnitTypes& unit) : unit_(unit) {
  name_after_typedefs();
  follow_chains(Depth::Nominal, nominal_);
  follow_chains(Depth::Full, keys_);
}

void UnitKeys::name_after_typedefs() {
  for (const RawType& type : unit_.types) {
    if (type.tag != DW_TAG_typedef || type.name.empty()) continue;
    const auto target = unit_.find(type.target);
    if (!target) continue;
    RawType& named = unit_.types[*target];
    if (!named.name.empty() || !(is_record(named) || named.kind == TypeKind::Enumeration)) continue;
    named.name = type.name;
    named.scope = type.scope;
    named.is_class = true;
  }
}

void UnitKeys::follow_chains(Depth depth, std::vector<TypeKey>& out) {
  enum State : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> state(unit_.types.size(), kNew);
  out.assign(unit_.types.size(), 0);
  std::vector<uint32_t> path;
  for (uint32_t first = 0; first < unit_.types.size(); ++first) {
    path.clear();
    TypeKey key = 0;
    for (std::optional<uint32_t> at = first; at;) {
      const RawType& type = unit_.types[*at];
      if (state[*at] == kOpen) {
        key = kCircle;
        break;
      }
      if (state[*at] == kNew && !has_target(type)) {
        out[*at] = end_of_chain(type, depth);
        state[*at] = kDone;
      }
      if (state[*at] == kDone) {
        key = out[*at];
        break;
      }
      state[*at] = kOpen;
      path.push_back(*at);
      const DieRef away = outside(type.target);
      key = away.valid() ? key_of_reference(unit_.file, away) : 0;
      at = unit_.find(type.target);
    }
    for (; !path.empty(); path.pop_back()) {
      key = joined(unit_.types[path.back()], key);
      out[path.back()] = key;
      state[path.back()] = kDone;
    }
  }
}

TypeKey UnitKeys::end_of_chain(const RawType& type, Depth depth) const {
  switch (type.kind) {
    case TypeKind::Struct:
    case TypeKind::Union:
      if (depth == Depth::Full) return key_of_record(type);
      if (type.name.empty()) return mixed(mixed(seeded(kNamed, type.kind), type.size), type.count);
      return mixed(seeded(kNamed, type.kind), qualified_hash(unit_.scopes[type.scope], type.name));
    case TypeKind::Function:
      return seeded(kBase, type.kind);
    default:
      return mixed(mixed(seeded(kBase, type.kind),
                         type.name.empty() ? type.values
                                           : qualified_hash(unit_.scopes[type.scope], type.name)),
                   type.size);
  }
}

TypeKey UnitKeys::key_of_record(const RawType& type) const {
  const uint64_t name = type.name.empty() ? 0 : qualified_hash(unit_.scopes[type.scope], type.name);
  if (type.declared) return mixed(seeded(kDeclared, type.kind), name);
  uint64_t key = mixed(mixed(seeded(kRecord, type.kind), name), type.size);
  for (uint32_t i = 0; i < type.count; ++i) {
    const RawMember& member = unit_.members[type.first + i];
    const auto local = unit_.find(member.type);
    const DieRef away = outside(member.type);
    const TypeKey shown = local          ? nominal_[*local]
                          : away.valid() ? key_of_reference(unit_.file, away)
                                         : 0;
    key = mixed(mixed(mixed(key, hash_of(member.name)), member.offset),
                shown + (member.is_base ? 1 : 0) + (member.is_bit_field ? 2 : 0));
  }
  return key;
}

TypeKey UnitKeys::joined(const RawType& type, TypeKey target) const {
  if (passes_through(type)) return target;
  if (type.kind != TypeKind::Array)
    return mixed(mixed(seeded(kPointer, type.kind), type.size), target);
  for (uint32_t i = type.count; i-- > 0;)
    target = key_of_array(unit_.dimensions[type.first + i], target);
  return type.count == 0 ? key_of_array(0, target) : target;
}

TypeKey UnitKeys::of(DieRef ref) const {
  const DieRef away = outside(ref);
  if (away.valid()) return key_of_reference(unit_.file, away);
  const auto local = unit_.find(ref);
  return local ? keys_[*local] : 0;
}

DieRef UnitKeys::outside(DieRef ref) const {
  if (!ref.valid() || unit_.contains(ref)) return {};
  if (unit_.is_alternate && ref.space() == DieRef::Space::Info)
    return {DieRef::Space::Alternate, ref.offset()};
  return ref;
}

}  // namespace heapscan

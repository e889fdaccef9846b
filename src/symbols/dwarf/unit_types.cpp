#include "symbols/dwarf/unit_types.h"

#include <dwarf.h>

#include <algorithm>

namespace heapscan {

namespace {
constexpr size_t kDeepestScope = 512;
constexpr size_t kLongestTypeName = 64 << 10;
}  // namespace

bool is_cpp(uint64_t language) {
  switch (language) {
    case DW_LANG_C89:
    case DW_LANG_C:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case DW_LANG_ObjC:
    case 0x2c:  // C17
    case 0x3e:  // C23
      return false;
    default:
      return true;
  }
}

bool is_alias(uint16_t tag) {
  switch (tag) {
    case DW_TAG_typedef:
    case DW_TAG_template_alias:
    case DW_TAG_const_type:
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
    case DW_TAG_packed_type:
    case DW_TAG_shared_type:
    case DW_TAG_immutable_type:
      return true;
    default:
      return false;
  }
}

void UnitTypes::clear() {
  scopes.assign(1, Scope());
  scopes[0].hash = kNoHash;
  types.clear();
  members.clear();
  dimensions.clear();
  variables.clear();
  is_split = false;
  damaged = false;
}

std::optional<uint32_t> UnitTypes::find(DieRef ref) const {
  if (!ref.valid() || !contains(ref)) return std::nullopt;
  const uint64_t die = ref.offset();
  const auto found = std::partition_point(types.begin(), types.end(),
                                          [&](const RawType& t) { return t.die < die; });
  if (found == types.end() || found->die != die) return std::nullopt;
  return static_cast<uint32_t>(found - types.begin());
}

uint32_t UnitTypes::scope_of(uint64_t die) const {
  const auto above = std::partition_point(scopes.begin() + 1, scopes.end(),
                                          [&](const Scope& s) { return s.begin < die; });
  auto scope = static_cast<uint32_t>(above - scopes.begin()) - 1;
  for (size_t i = 0; i < kDeepestScope && scope != 0 && scopes[scope].end <= die; ++i)
    scope = scopes[scope].around;
  return scope;
}

// From the inside out; a damaged file can make circles of them.
std::vector<std::string_view> UnitTypes::parts_of(uint32_t scope) const {
  std::vector<std::string_view> parts;
  for (; scope != 0 && parts.size() < kDeepestScope; scope = scopes[scope].parent)
    parts.push_back(scopes[scope].name);
  return parts;
}

uint64_t UnitTypes::hash_of_scope(uint32_t scope) const {
  Scope at;
  at.hash = kNoHash;
  const auto parts = parts_of(scope);
  for (size_t i = parts.size(); i-- > 0;) at.hash = qualified_hash(at, parts[i]);
  return at.hash;
}

std::string UnitTypes::qualified(uint32_t scope, std::string_view name) const {
  std::string text;
  const auto parts = parts_of(scope);
  for (size_t i = parts.size(); i-- > 0 && text.size() < kLongestTypeName;) {
    if (parts[i].empty()) continue;
    text += parts[i];
    text += "::";
  }
  text += name;
  if (text.size() > kLongestTypeName) text.resize(kLongestTypeName);
  return text;
}

uint64_t qualified_hash(const Scope& scope, std::string_view name) {
  if (name.empty()) return scope.hash;
  return hash_of(name, scope.hash == kNoHash ? kNoHash : hash_of("::", scope.hash));
}

}  // namespace heapscan

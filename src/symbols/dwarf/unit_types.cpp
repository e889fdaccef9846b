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

std::optional<uint64_t> constant_member_offset(const UnitReader& reader,
                                               const AttributeValue& value) {
  if (const auto number = reader.number(&value)) return number;
  const auto expression = reader.block(&value);
  if (!expression) return std::nullopt;
  DwarfCursor cursor(*expression);
  if (cursor.u8() != DW_OP_plus_uconst) return std::nullopt;
  const uint64_t offset = cursor.uleb();
  if (cursor.failed() || !cursor.at_end()) return std::nullopt;
  return offset;
}

std::optional<StaticPlace> static_place(const UnitReader& reader, Bytes expression) {
  DwarfCursor cursor(expression);
  std::optional<uint64_t> value;
  switch (cursor.u8()) {
    case DW_OP_addr:
    case DW_OP_const8u:
      value = cursor.u64();
      break;
    case DW_OP_const4u:
      value = cursor.u32();
      break;
    case DW_OP_addrx:
    case DW_OP_constx:
    case DW_OP_GNU_addr_index:
    case DW_OP_GNU_const_index:
      if (const auto address = reader.address_at_index(cursor.uleb())) value = address->value;
      break;
    default:
      return std::nullopt;
  }
  StaticPlace place;
  while (value && !cursor.at_end()) {
    switch (cursor.u8()) {
      case DW_OP_plus_uconst:
        *value += cursor.uleb();
        break;
      case DW_OP_GNU_push_tls_address:
      case DW_OP_form_tls_address:
        place.is_thread_local = true;
        break;
      default:
        return std::nullopt;
    }
  }
  const bool is_address = !expression.empty() && (expression[0] == std::byte{DW_OP_addr} ||
                                                  expression[0] == std::byte{DW_OP_addrx} ||
                                                  expression[0] == std::byte{DW_OP_GNU_addr_index});
  if (!value || cursor.failed() || !(is_address || place.is_thread_local)) return std::nullopt;
  place.value = *value;
  return place;
}

}  // namespace heapscan

#include "symbols/dwarf/location.h"

#include <dwarf.h>

namespace heapscan {

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

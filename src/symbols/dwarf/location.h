// The simple locations and offsets that DWARF expressions give; all others are nothing.
#pragma once

#include <cstdint>
#include <optional>

#include "symbols/dwarf/unit.h"

namespace heapscan {

// Of DW_AT_data_member_location; nothing for what depends on the object (virtual bases).
[[nodiscard]] std::optional<uint64_t> constant_member_offset(const UnitReader& reader,
                                                             const AttributeValue& value);

struct StaticPlace {
  uint64_t value = 0;  // an address in the file; of a thread-local variable an offset
  bool is_thread_local = false;
};
// Of a variable that is not on a stack.
[[nodiscard]] std::optional<StaticPlace> static_place(const UnitReader& reader, Bytes expression);

}  // namespace heapscan

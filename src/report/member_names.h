// Which member of a type lies at an offset.
#pragma once

#include <cstdint>
#include <string>

#include "heapscan/symbols/types.h"

namespace heapscan {

struct MemberName {
  std::string name;  // "request.url", "slots[3]"; empty where there is none
  std::string type;  // "char *"
};

// Of a block of `size` bytes that holds one object of `type`, or an array of them; nothing for no
// type, and for what lies behind the last whole object.
[[nodiscard]] MemberName name_member(const Types& types, TypeId type, uint64_t size,
                                     uint64_t offset);

}  // namespace heapscan

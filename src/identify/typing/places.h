// Where memory outside blocks is typed: variables of all kinds, at run time.
#pragma once

#include <string_view>
#include <vector>

#include "identify/inputs.h"

namespace heapscan {

struct TypedPlace {
  AddrRange range;
  TypeId type;
  std::string_view variable;
  bool is_local = false;  // may not have been initialised yet
};

// Globals and statics, thread-local variables of every live thread, locals; in that order.
[[nodiscard]] std::vector<TypedPlace> typed_places(const Inputs& inputs);

}  // namespace heapscan

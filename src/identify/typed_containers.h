// What the nodes and elements of a standard container are.
#pragma once

#include <cstdint>
#include <optional>

#include "heapscan/symbols/types.h"

namespace heapscan {

struct ContainerContent {
  TypeId value;         // a record with a size
  uint64_t offset = 0;  // of the value in a node
  bool is_array = false;
};

// Nothing for what is no container, and for one of numbers and pointers.
[[nodiscard]] std::optional<ContainerContent> content_of_container(const Types& types,
                                                                   TypeId container);

}  // namespace heapscan

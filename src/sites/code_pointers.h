// Pointers to code that lie in data: members of structs of functions, such as the allocator that a
// library was configured with.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan {

struct CodePointer {
  Addr value;
  Addr at;
};

// In the data of the module; sorted by value, then place; at most kMostCodePointers.
[[nodiscard]] std::vector<CodePointer> code_pointers_of(const MemoryImage& image, ModuleId module);
constexpr size_t kMostCodePointers = size_t{1} << 20;

}  // namespace heapscan

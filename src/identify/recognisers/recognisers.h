// Every recogniser, one per file: each looks at one family and returns its evidence, or nothing.
#pragma once

#include <optional>

#include "identify/inputs.h"

namespace heapscan {

// C++ classes by the vtable at the begin of the block; arrays of them; what shared_ptr allocates.
[[nodiscard]] std::optional<Evidence> recognise_class(const Inputs& inputs, FamilyId family);
// Functions, variables and inner objects that the blocks name at fixed places.
[[nodiscard]] std::optional<Evidence> recognise_symbol_fields(const Inputs& inputs,
                                                              FamilyId family);
// Frames of C++20's coroutines.
[[nodiscard]] std::optional<Evidence> recognise_coroutine(const Inputs& inputs, FamilyId family);
// Structs of the C library, the loader, libstdc++ and other libraries.
[[nodiscard]] std::optional<Evidence> recognise_library(const Inputs& inputs, FamilyId family);
// Objects of CPython by their type.
[[nodiscard]] std::optional<Evidence> recognise_python(const Inputs& inputs, FamilyId family);
// Text, numbers, raw bytes, arrays of pointers.
[[nodiscard]] std::optional<Evidence> recognise_content(const Inputs& inputs, FamilyId family);

}  // namespace heapscan

// Every recogniser, one per file: each looks at one cluster and returns its evidence, or nothing.
#pragma once

#include <optional>

#include "identify/inputs.h"

namespace heapscan {

// C++ classes by the vtable at the begin of the block; arrays of them; what shared_ptr allocates.
[[nodiscard]] std::optional<Evidence> recognise_class(const Inputs& inputs, ClusterId cluster);
// Functions, variables and inner objects that the blocks name at fixed places.
[[nodiscard]] std::optional<Evidence> recognise_symbol_fields(const Inputs& inputs,
                                                              ClusterId cluster);
// Frames of C++20's coroutines.
[[nodiscard]] std::optional<Evidence> recognise_coroutine(const Inputs& inputs, ClusterId cluster);
// Structs of the C library, the loader, libstdc++ and other libraries.
[[nodiscard]] std::optional<Evidence> recognise_library(const Inputs& inputs, ClusterId cluster);
// Objects of CPython by their type.
[[nodiscard]] std::optional<Evidence> recognise_python(const Inputs& inputs, ClusterId cluster);
// Text, numbers, raw bytes, arrays of pointers.
[[nodiscard]] std::optional<Evidence> recognise_content(const Inputs& inputs, ClusterId cluster);

}  // namespace heapscan

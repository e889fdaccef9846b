// Names as source code says them.
#pragma once

#include <string>
#include <string_view>

#include "heapscan/symbols/symbols.h"

namespace heapscan {

// Of a type, as std::type_info::name() has it: "6Parser" is "Parser". What cannot be demangled
// stays as it is.
[[nodiscard]] std::string name_of_type(std::string_view mangled);

// Of a symbol that is a function: without parameters, and without the suffixes of clones.
[[nodiscard]] std::string name_of_function(std::string_view symbol);

// What people call a struct that debug information knows under another name: "FILE" for "struct
// locked_FILE", "coroutine frame of f" for the type a compiler makes. Others stay as they are.
[[nodiscard]] std::string name_people_know(const std::string& label);

}  // namespace heapscan

// Names as source code says them.
#pragma once

#include <string>
#include <string_view>

namespace heapscan {

// Of a symbol: demangled where it is mangled. Of bounded length.
[[nodiscard]] std::string name_of_symbol(std::string_view symbol);

// Of a type, as std::type_info::name() has it: "6Parser" is "Parser". What cannot be demangled
// stays as it is.
[[nodiscard]] std::string name_of_type(std::string_view mangled);

}  // namespace heapscan

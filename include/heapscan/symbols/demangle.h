// Names of C++ as people write them.
#pragma once

#include <string>
#include <string_view>

namespace heapscan {

// "ns::Parser::parse(int)" for "_ZN2ns6Parser5parseEi" (Itanium C++ ABI). What is no such name, is
// longer than 1024 bytes, refers back to parts of itself more than 32 times, or would become longer
// than 64 KiB is returned as it is.
[[nodiscard]] std::string demangled(std::string_view name);

// The same of a symbol, without the C++ library's ABI tag, cut to 1024 bytes.
[[nodiscard]] std::string name_of_symbol(std::string_view symbol);

}  // namespace heapscan

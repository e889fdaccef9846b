// What functions of the C library do that says something of the code which calls them, by their names:
// those that programs use, and those of variants that the loader chose ("__strlen_avx2") or the compiler
// ("__strcpy_chk").
#pragma once

#include <string_view>

namespace heapscan {

[[nodiscard]] bool never_returns(std::string_view name);
[[nodiscard]] bool returns_first_parameter(std::string_view name);
// The length of a text, or of one that it would have written.
[[nodiscard]] bool returns_length(std::string_view name);
// To where their first parameter points.
[[nodiscard]] bool writes_text(std::string_view name);

}  // namespace heapscan

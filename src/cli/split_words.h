// A line in words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heapscan {

// As a shell takes a line apart: quotes hold words together and are left out, a backslash takes what
// follows as it is. Throws Error (Usage) for a quote that does not end.
[[nodiscard]] std::vector<std::string> split_words(std::string_view line);

}  // namespace heapscan

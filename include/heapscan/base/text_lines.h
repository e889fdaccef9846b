// Text by lines.
#pragma once

#include <algorithm>
#include <string_view>

namespace heapscan {

// Calls f(line) for each line, without its newline.
template <typename F>
void for_each_line(std::string_view text, F&& f) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    f(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace heapscan

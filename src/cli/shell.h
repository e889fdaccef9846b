// Words a person can paste into a shell.
#pragma once

#include <string>
#include <string_view>

namespace heapscan {

// `word` quoted so that a shell reads it as one word and a terminal shows it harmlessly.
[[nodiscard]] std::string shell_word(std::string_view word);

}  // namespace heapscan

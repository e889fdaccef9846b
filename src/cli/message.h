// What is said on standard error, the exit code that goes with it, and words of a command in it.
#pragma once

#include <string>
#include <string_view>

#include "heapscan/base/error.h"

namespace heapscan {

// One line: "heapscan: " and the sentence.
void say(const std::string& sentence);

[[nodiscard]] int exit_code_of(const Error& error);

// `word` quoted so that a shell reads it as one word and a terminal shows it harmlessly.
[[nodiscard]] std::string shell_word(std::string_view word);

}  // namespace heapscan

// What is said on standard error, and the exit code that goes with it.
#pragma once

#include <string>

#include "heapscan/base/error.h"

namespace heapscan {

// One line: "heapscan: " and the sentence.
void say(const std::string& sentence);

[[nodiscard]] int exit_code_of(const Error& error);

}  // namespace heapscan

// What is wrong with a command line, in words that help to write it right.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace heapscan {

// One sentence about the first word that could not be taken; says what was probably meant.
// `command` is null when none was chosen.
[[nodiscard]] std::string complaint(const CLI::App& program, const CLI::App* command,
                                    const CLI::ParseError& error);

}  // namespace heapscan

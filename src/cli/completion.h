// Scripts that let a shell complete heapscan's command line, made of the same facts as its help.
//
// What processes are called is the target's to choose, so nothing of it is ever evaluated: names
// with other characters than letters, digits and "._+-" are not offered.
#pragma once

#include <ostream>

#include "cli/command_tree.h"

namespace heapscan {

// What can be offered for a value, by its type.
enum class Offered { Nothing, Choices, Files, Folders, Processes, ProcessesAndFiles, Commands };

[[nodiscard]] Offered offered_for(const OptionFacts& word);

// To be sourced, or loaded by bash-completion.
void write_bash_completion(const CLI::App& program, std::ostream& out);
// "_heapscan", for a folder of `fpath`.
void write_zsh_completion(const CLI::App& program, std::ostream& out);
// "heapscan.fish", for a folder of `fish_complete_path`.
void write_fish_completion(const CLI::App& program, std::ostream& out);

}  // namespace heapscan

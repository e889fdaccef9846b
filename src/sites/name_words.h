// The words that names are made of, to see what a function and a type have in common.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heapscan {

using NameWords = std::vector<std::string>;  // sorted, each once

// The words of names: "re_dfastate_t", "RoffNode" and "std::map<Key>" in lower case, at least three
// letters each.
[[nodiscard]] NameWords words_of(std::string_view text);

// Whether it is a word of labels, and of no name: "array", "unknown".
[[nodiscard]] bool is_plain_word(std::string_view word);

}  // namespace heapscan

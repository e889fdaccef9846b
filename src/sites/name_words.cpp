#include "sites/name_words.h"

#include <algorithm>
#include <cctype>

namespace heapscan {

namespace {

constexpr size_t kShortestWord = 3;  // letters

}  // namespace

NameWords words_of(std::string_view text) {
  NameWords words;
  std::string word;
  const auto finish = [&] {
    if (word.size() >= kShortestWord) words.push_back(word);
    word.clear();
  };
  bool was_lower = false;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalpha(u) == 0 || (std::isupper(u) != 0 && was_lower)) finish();
    if (std::isalpha(u) != 0) word += static_cast<char>(std::tolower(u));
    was_lower = std::islower(u) != 0;
  }
  finish();
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

bool is_plain_word(std::string_view word) {
  static constexpr std::string_view kPlain[] = {
      "allocation", "and",      "array",     "basic",    "block", "buffer",  "bytes", "char",
      "class",      "cxx",      "elements",  "filled",   "int",   "long",    "node",  "numbers",
      "pair",       "pointer",  "pointers",  "pointing", "raw",   "several", "short", "since",
      "sizes",      "std",      "string",    "struct",   "text",  "tree",    "type",  "union",
      "unknown",    "unsigned", "untouched", "void",     "zero"};
  return std::binary_search(std::begin(kPlain), std::end(kPlain), word);
}

}  // namespace heapscan

#include "cli/split_words.h"

#include <fmt/format.h>

#include <cctype>

#include "heapscan/base/error.h"

namespace heapscan {

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool is_word = false;
  char quote = '\0';
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else if (c == '\\' && quote == '"' && i + 1 < line.size()) {
        word += line[++i];
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      is_word = true;
    } else if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
      is_word = true;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      if (is_word) words.push_back(std::move(word));
      word.clear();
      is_word = false;
    } else {
      word += c;
      is_word = true;
    }
  }
  if (quote != '\0')
    throw Error(ErrorKind::Usage, fmt::format("the line ends within {} quotes", quote));
  if (is_word) words.push_back(std::move(word));
  return words;
}

}  // namespace heapscan

#include "cli/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/command_tree.h"
#include "cli/output.h"

namespace heapscan {

namespace {

// Letters to change, add or leave out (Levenshtein).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

// What `word` was probably meant to be; empty when nothing is near.
std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  constexpr size_t kLongestWord = 64;
  constexpr size_t kShortestBeginning = 3;
  if (word.size() > kLongestWord) return "";
  const size_t most = word.size() < 6 ? 1 : 2;
  std::string best;
  size_t least = most + 1;
  for (const std::string& name : names) {
    const bool begins = word.size() >= kShortestBeginning && name.starts_with(word);
    const size_t differing = begins ? 0 : distance(word, name);
    if (differing < least) {
      least = differing;
      best = name;
    }
  }
  return best;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    const auto& own = option->get_lnames();
    names.insert(names.end(), own.begin(), own.end());
  }
  return names;
}

// "--top" of "--top=3".
std::string name_of_option(const std::string& word) { return word.substr(0, word.find('=')); }

bool is_option(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

std::string no_such_command(const CLI::App& program, const std::string& word) {
  if (is_option(word)) {
    const std::string name = name_of_option(word);
    for (const CLI::App* command : commands_of(program)) {
      if (command->get_option_no_throw(name) != nullptr)
        return fmt::format("options follow the command; \"{}\" comes before it", name);
    }
    return fmt::format("there is no option \"{}\"", name);
  }
  return unknown_command(program, word);
}

// What a command works on; null for an unknown command.
struct Operands {
  const char* needed;  // "attach needs …"
  const char* most;    // "attach takes …"
};

Operands operands_of(const std::string& command) {
  static const std::map<std::string, Operands> kOperands = {
      {"attach", {"a process id or name", "one process id or name"}},
      {"completion", {"the name of a shell: bash, zsh or fish", "one shell"}},
      {"core", {"a file", "one file"}},
      {"diff", {"two looks or more, each a core dump or a process", "looks"}},
      {"help", {"a command", "one command"}},
      {"holds", {"a process or a file", "one process or file, and what holds"}},
      {"snapshot", {"a process id or name", "one process id or name"}},
      {"triage", {"no word", "no words"}},
      {"version", {"no word", "no words"}},
      {"why", {"a process or a file, and addresses", "one process or file, and addresses"}}};
  const auto known = kOperands.find(command);
  return known != kOperands.end() ? known->second : Operands{"more words", "fewer words"};
}

std::string no_such_word(const CLI::App& program, const CLI::App& command,
                         const std::string& word) {
  if (!is_option(word)) {
    return fmt::format("{} takes {}; \"{}\" is one word too many", command.get_name(),
                       operands_of(command.get_name()).most, word);
  }
  const std::string name = name_of_option(word);
  for (const CLI::App* other : commands_of(program)) {
    if (other != &command && other->get_option_no_throw(name) != nullptr)
      return fmt::format("{} is an option of {}, not of {}", name, other->get_name(),
                         command.get_name());
  }
  const std::string sentence = fmt::format("{} has no option \"{}\"", command.get_name(), name);
  if (!name.starts_with("--")) return sentence;
  const std::string meant = nearest(name.substr(2), options_of(command));
  return meant.empty() ? sentence : fmt::format("{} (did you mean --{}?)", sentence, meant);
}

}  // namespace

std::string unknown_command(const CLI::App& program, const std::string& word) {
  const std::string sentence = fmt::format("there is no command \"{}\"", word);
  if (word.find_first_not_of("0123456789") == std::string::npos)
    return fmt::format("{} (did you mean heapscan attach {}?)", sentence, word);
  std::vector<std::string> names;
  for (const CLI::App* command : commands_of(program)) names.push_back(command->get_name());
  if (const std::string name = nearest(word, names); !name.empty())
    return fmt::format("{} (did you mean heapscan {}?)", sentence, name);
  if (::access(word.c_str(), F_OK) == 0)
    return fmt::format("{} (did you mean heapscan core {}?)", sentence, shell_word(word));
  return sentence;
}

std::string complaint(const CLI::App& program, const CLI::App* command,
                      const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    // A word before the command is left over at the program, one behind it at the command.
    if (const std::vector<std::string> words = program.remaining(); !words.empty())
      return no_such_command(program, words.front());
    const std::vector<std::string> words =
        command == nullptr ? std::vector<std::string>() : command->remaining();
    return words.empty() ? error.what() : no_such_word(program, *command, words.front());
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string text = error.what();
    return text.substr(0, text.find(':')) + " needs a value";
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    const std::string text = error.what();  // "Could not convert: --verbose = maybe"
    const size_t begin = text.find("--");
    if (begin != std::string::npos)
      return text.substr(begin, text.find(' ', begin) - begin) + " takes no value";
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && command != nullptr) {
    const std::string text = error.what();  // "--output is required"
    if (text.starts_with("--"))
      return fmt::format("{} needs {}", command->get_name(), text.substr(0, text.find(' ')));
    if (const std::vector<std::string> words = program.remaining(); !words.empty())
      return no_such_command(program, words.front());
    return fmt::format("{} needs {}", command->get_name(), operands_of(command->get_name()).needed);
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    std::string text = error.what();  // "--quiet excludes --verbose"
    const size_t at = text.find(" excludes ");
    if (at != std::string::npos) text.replace(at, 10, " and ");
    return text + " exclude each other";
  }
  return error.what();
}

}  // namespace heapscan

// What may be said on the command line, as plain values read once from CLI11's tree: manual pages
// and completion are made of these, and so say what `--help` says.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace heapscan {

// An option, or a word without a name.
struct OptionFacts {
  std::vector<std::string> names;  // "-o", "--output"; empty: a word without a name
  std::string type;                // of the value: "FILE", "text|json"; empty: takes none
  std::string meaning;
  bool may_be_repeated = false;

  // "text" and "json" of "text|json"; empty where the value is no choice of such words.
  [[nodiscard]] std::vector<std::string> choices() const;
};

struct CommandFacts {
  std::string name;               // empty: the program itself
  std::string summary;            // "Find leaked memory in a running process"
  std::vector<std::string> text;  // the rest of what it is, by paragraphs
  std::vector<OptionFacts> words;
  std::vector<OptionFacts> options;
  std::string footer;  // "Examples:" and so on, as the help page ends
};

// The commands that are told of, in their order.
[[nodiscard]] std::vector<const CLI::App*> commands_of(const CLI::App& program);

[[nodiscard]] CommandFacts facts_of(const CLI::App& app);

}  // namespace heapscan

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <string>
#include <string_view>
#include <vector>

#include "cli/completion.h"

namespace heapscan {

namespace {

constexpr std::string_view kZshHead = R"(#compdef heapscan
# zsh completion for heapscan; made by `heapscan completion zsh`

_heapscan_processes() {
  local -a whose=(-e) pids=() names=()
  local pid name
  ((EUID == 0)) || whose=(-u $EUID)
  ps $whose -o pid= -o comm= 2>/dev/null | while read -r pid name; do
    pids+=($pid)
    [[ $name =~ '^[A-Za-z0-9._+-]+$' ]] && names+=($name)
  done
  _alternative "names:process name:compadd -a names" "pids:process id:compadd -a pids"
}

_heapscan_targets() {
  _heapscan_processes
  _files
}

)";

// `text` within a specification of _arguments that stands in single quotes.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == ':' || c == '[' || c == ']' || c == '\\' || c == '`' || c == '$') {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string zsh_action(const OptionFacts& word) {
  switch (offered_for(word)) {
    case Offered::Choices:
      return fmt::format("({})", fmt::join(word.choices(), " "));
    case Offered::Files:
      return "_files";
    case Offered::Folders:
      return "_files -/";
    case Offered::Processes:
      return "_heapscan_processes";
    case Offered::ProcessesAndFiles:
      return "_heapscan_targets";
    case Offered::Commands:
      return "_heapscan_commands";
    case Offered::Nothing:
      break;
  }
  return " ";
}

std::string zsh_option(const OptionFacts& option, const std::string& name) {
  const bool is_long = name.starts_with("--");
  const std::string value =
      option.type.empty() ? "" : ':' + zsh_text(option.type) + ':' + zsh_action(option);
  return fmt::format("'{}{}{}[{}]{}'", option.may_be_repeated ? "*" : "", name,
                     option.type.empty() ? ""
                     : is_long           ? "="
                                         : "+",
                     zsh_text(option.meaning), value);
}

void write_zsh_arguments(const CommandFacts& facts, std::ostream& out) {
  for (const OptionFacts& option : facts.options) {
    for (const std::string& name : option.names) out << " \\\n        " << zsh_option(option, name);
  }
  for (size_t i = 0; i < facts.words.size(); ++i) {
    const OptionFacts& word = facts.words[i];
    const std::string place = word.may_be_repeated ? "*" : std::to_string(i + 1);
    fmt::print(out, " \\\n        '{}:{}:{}'", place, zsh_text(word.type), zsh_action(word));
  }
  out << '\n';
}

}  // namespace

void write_zsh_completion(const CLI::App& program, std::ostream& out) {
  out << kZshHead << "_heapscan_commands() {\n  local -a commands=(\n";
  for (const CLI::App* command : commands_of(program)) {
    const CommandFacts facts = facts_of(*command);
    fmt::print(out, "    '{}:{}'\n", facts.name, zsh_text(facts.summary));
  }
  out << "  )\n  _describe command commands\n}\n\n_heapscan() {\n"
         "  local curcontext=$curcontext state line\n  _arguments -C";
  for (const OptionFacts& option : facts_of(program).options) {
    for (const std::string& name : option.names) out << " \\\n    " << zsh_option(option, name);
  }
  out << " \\\n    '1:command:_heapscan_commands' '*::word:->words'\n"
         "  [[ $state == words ]] || return\n  case $words[1] in\n";
  for (const CLI::App* command : commands_of(program)) {
    const CommandFacts facts = facts_of(*command);
    fmt::print(out, "    {})\n      _arguments -s", facts.name);
    write_zsh_arguments(facts, out);
    out << "      ;;\n";
  }
  out << "  esac\n}\n\n_heapscan \"$@\"\n";
}

}  // namespace heapscan

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <string>
#include <string_view>
#include <vector>

#include "cli/completion.h"

namespace heapscan {

namespace {

// What is the same whatever the commands are. "=" ends a word for bash, so "--format=j" arrives in
// three pieces.
constexpr std::string_view kBashHead =
    R"(# bash completion for heapscan; made by `heapscan completion bash`

_heapscan_words() {
  local word
  for word in "$@"; do
    if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
  done
}

_heapscan_paths() {
  compopt -o filenames 2>/dev/null
  local path
  while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen "$1" -- "$cur")
}

_heapscan_processes() {
  local pid name
  local -a whose=(-e)
  ((EUID == 0)) || whose=(-u "$EUID")
  while read -r pid name; do
    if [[ $pid == "$cur"* ]]; then COMPREPLY+=("$pid"); fi
    if [[ -n $cur && $name == "$cur"* && $name =~ ^[A-Za-z0-9._+-]+$ ]]; then
      COMPREPLY+=("$name")
    fi
  done < <(ps "${whose[@]}" -o pid= -o comm= 2>/dev/null)
}

)";

constexpr std::string_view kBashMain = R"(
_heapscan() {
  local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
  COMPREPLY=()
  if [[ $cur == = ]]; then
    cur=
  elif [[ $option == = ]]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if ((COMP_CWORD == 1)); then
    _heapscan_command_or_option
  elif ! _heapscan_value "$command" "$option"; then
    _heapscan_word "$command"
  fi
}

complete -F _heapscan heapscan
)";

std::string bash_list(const std::vector<std::string>& words) {
  return fmt::format("_heapscan_words {}", fmt::join(words, " "));
}

std::string bash_offer(const OptionFacts& word, const std::vector<std::string>& commands) {
  switch (offered_for(word)) {
    case Offered::Choices:
      return bash_list(word.choices());
    case Offered::Files:
      return "_heapscan_paths -f";
    case Offered::Folders:
      return "_heapscan_paths -d";
    case Offered::Processes:
      return "_heapscan_processes";
    case Offered::ProcessesAndFiles:
      return "_heapscan_processes; _heapscan_paths -f";
    case Offered::Commands:
      return bash_list(commands);
    case Offered::Nothing:
      break;
  }
  return ":";
}

std::vector<std::string> names_of_options(const CommandFacts& facts) {
  std::vector<std::string> names;
  for (const OptionFacts& option : facts.options)
    names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

// The value of an option; fails where the option takes none.
void write_bash_values(const std::vector<CommandFacts>& all,
                       const std::vector<std::string>& commands, std::ostream& out) {
  out << "_heapscan_value() {\n  case \"$1 $2\" in\n";
  for (const CommandFacts& facts : all) {
    for (const OptionFacts& option : facts.options) {
      if (option.type.empty()) continue;
      std::string patterns;
      for (const std::string& name : option.names)
        patterns += fmt::format("{}\"{} {}\"", patterns.empty() ? "" : " | ", facts.name, name);
      fmt::print(out, "    {}) {} ;;\n", patterns, bash_offer(option, commands));
    }
  }
  out << "    *) return 1 ;;\n  esac\n  return 0\n}\n\n";
}

// An option of the command, or the next of its words.
void write_bash_words(const std::vector<CommandFacts>& all,
                      const std::vector<std::string>& commands, std::ostream& out) {
  out << "_heapscan_word() {\n  case \"$1 $cur\" in\n";
  for (const CommandFacts& facts : all) {
    fmt::print(out, "    \"{} -\"*) {} ;;\n", facts.name, bash_list(names_of_options(facts)));
    if (!facts.words.empty())
      fmt::print(out, "    \"{} \"*) {} ;;\n", facts.name, bash_offer(facts.words[0], commands));
  }
  out << "  esac\n  return 0\n}\n";
}

}  // namespace

void write_bash_completion(const CLI::App& program, std::ostream& out) {
  std::vector<CommandFacts> all;
  std::vector<std::string> commands;
  for (const CLI::App* command : commands_of(program)) {
    all.push_back(facts_of(*command));
    commands.push_back(command->get_name());
  }
  std::vector<std::string> first = commands;
  for (const std::string& name : names_of_options(facts_of(program))) first.push_back(name);
  out << kBashHead;
  fmt::print(out, "_heapscan_command_or_option() {{\n  {}\n}}\n\n", bash_list(first));
  write_bash_values(all, commands, out);
  write_bash_words(all, commands, out);
  out << kBashMain;
}

}  // namespace heapscan

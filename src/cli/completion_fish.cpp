#include <fmt/format.h>
#include <fmt/ostream.h>

#include <string>
#include <string_view>
#include <vector>

#include "cli/completion.h"

namespace heapscan {

namespace {

constexpr std::string_view kFishHead =
    R"(# fish completion for heapscan; made by `heapscan completion fish`

function __heapscan_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = $argv[1]
end

function __heapscan_processes
    set -l whose -e
    test (id -u) = 0; or set whose -u (id -u)
    ps $whose -o pid= -o comm= 2>/dev/null | string match -r '^ *[0-9]+ +[A-Za-z0-9._+-]+$' |
        string replace -r '^ *([0-9]+) +(.*)$' '$1\t$2'
end

complete -c heapscan -f
)";

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_offer(const OptionFacts& word, const std::vector<std::string>& commands) {
  switch (offered_for(word)) {
    case Offered::Choices:
      return fmt::format("-a '{}'", fmt::join(word.choices(), " "));
    case Offered::Files:
      return "-F";
    case Offered::Folders:
      return "-a '(__fish_complete_directories (commandline -ct))'";
    case Offered::Processes:
      return "-a '(__heapscan_processes)'";
    case Offered::ProcessesAndFiles:
      return "-F -a '(__heapscan_processes)'";
    case Offered::Commands:
      return fmt::format("-a '{}'", fmt::join(commands, " "));
    case Offered::Nothing:
      break;
  }
  return "";
}

std::string fish_option(const OptionFacts& option, const std::vector<std::string>& commands) {
  std::string line;
  for (const std::string& name : option.names)
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  const std::string offer = fish_offer(option, commands);
  if (!option.type.empty()) line += (offer.starts_with("-F") ? " -r " : " -x ") + offer;
  return line + " -d " + fish_quoted(option.meaning);
}

}  // namespace

void write_fish_completion(const CLI::App& program, std::ostream& out) {
  out << kFishHead;
  std::vector<std::string> commands;
  for (const CLI::App* command : commands_of(program)) {
    const CommandFacts facts = facts_of(*command);
    commands.push_back(facts.name);
    fmt::print(out, "complete -c heapscan -n __fish_use_subcommand -a {} -d {}\n", facts.name,
               fish_quoted(facts.summary));
  }
  for (const OptionFacts& option : facts_of(program).options) {
    fmt::print(out, "complete -c heapscan -n __fish_use_subcommand{}\n",
               fish_option(option, commands));
  }
  for (const CLI::App* command : commands_of(program)) {
    const CommandFacts facts = facts_of(*command);
    const std::string there =
        fmt::format("complete -c heapscan -n '__heapscan_command {}'", facts.name);
    for (const OptionFacts& option : facts.options)
      fmt::print(out, "{}{}\n", there, fish_option(option, commands));
    if (!facts.words.empty() && offered_for(facts.words[0]) != Offered::Nothing)
      fmt::print(out, "{} {}\n", there, fish_offer(facts.words[0], commands));
  }
}

}  // namespace heapscan

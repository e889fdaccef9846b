#include <fmt/format.h>

#include <string>

#include "cli/command_tree.h"
#include "cli/commands.h"
#include "cli/look.h"
#include "cli/man_page.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

struct HelpOptions {
  const CLI::App* program = nullptr;
  std::string command;  // empty: the program itself
};

struct NoOptions {};

const CLI::App& named_command(const HelpOptions& options) {
  for (const CLI::App* command : commands_of(*options.program)) {
    if (command->get_name() == options.command) return *command;
  }
  throw Error(ErrorKind::Usage, escaped(unknown_command(*options.program, options.command)) +
                                    "; see heapscan --help");
}

int run_help(const HelpOptions& options) {
  const CLI::App& app = options.command.empty() ? *options.program : named_command(options);
  write_output("", [&](std::ostream& out) {
    out << HelpPage().make_help(&app, "", CLI::AppFormatMode::Normal);  // help() is of the chosen
  });
  return kNothingLost;
}

int run_man_page(const HelpOptions& options) {
  write_output("", [&](std::ostream& out) {
    if (options.command.empty()) return write_man_page(*options.program, out);
    write_man_page_of_command(*options.program, named_command(options), out);
  });
  return kNothingLost;
}

int run_version(const NoOptions& /*none*/) {
  write_output("", [](std::ostream& out) { out << "heapscan " HEAPSCAN_VERSION "\n"; });
  return kNothingLost;
}

void add_help_words(CLI::App& command, HelpOptions& options) {
  options.program = command.get_parent();
  command.add_option("command", options.command, "The command to explain [heapscan itself]")
      ->type_name("[COMMAND]");
}

}  // namespace

void setup_help(CLI::App& program, Run& run) {
  add_command<HelpOptions>(program, run,
                           {"help",
                            "Explain a command\n"
                            "Shows what `heapscan COMMAND --help` shows.",
                            add_help_words,
                            examples({{"heapscan help", "What can heapscan do?"},
                                      {"heapscan help attach", "All options of attach."}}),
                            run_help});
  add_command<NoOptions>(program, run,
                         {"version", "Show the version",
                          [](CLI::App& /*command*/, NoOptions& /*none*/) {}, "", run_version});
  // For those who build packages of heapscan.
  add_command<HelpOptions>(
      program, run, {"man-page", "Print a manual page in roff", add_help_words, "", run_man_page});
  program.get_subcommand("man-page")->group("");
}

}  // namespace heapscan

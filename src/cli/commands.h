// The commands, one file each. setup_x() adds a command to the program; when it was chosen, `run`
// is set to what it does, which returns the exit code or throws Error.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace heapscan {

using Run = std::function<int()>;

void setup_attach(CLI::App& program, Run& run);
void setup_completion(CLI::App& program, Run& run);
void setup_core(CLI::App& program, Run& run);
void setup_diff(CLI::App& program, Run& run);
void setup_explore(CLI::App& program, Run& run);
void setup_help(CLI::App& program, Run& run);  // and `version`
void setup_run(CLI::App& program, Run& run);
void setup_snapshot(CLI::App& program, Run& run);
void setup_trace(CLI::App& program, Run& run);
void setup_triage(CLI::App& program, Run& run);
void setup_watch(CLI::App& program, Run& run);
void setup_questions(CLI::App& program, Run& run);  // a command each: cli/questions.h

// Leaves out the "--" that stands between heapscan's options and a program's own words: CLI11 takes
// what follows it for words of heapscan. `words` are those of the command line, without heapscan.
void leave_out_mark(const CLI::App& program, std::vector<std::string>& words);

// What the commands have in common: `Words` is what a command line may say, `add_words` says how,
// and `work` does it and returns the exit code.
template <typename Words>
struct Command {
  const char* name;
  const char* help;  // the first line is what the program's own page says
  void (*add_words)(CLI::App& command, Words& words);
  std::string footer;
  int (*work)(const Words& words);
};

template <typename Words>
void add_command(CLI::App& program, Run& run, const Command<Words>& what) {
  CLI::App* const command = program.add_subcommand(what.name, what.help);
  const auto words = std::make_shared<Words>();
  what.add_words(*command, *words);
  command->footer(what.footer);
  command->callback(
      [words, work = what.work, &run] { run = [words, work] { return work(*words); }; });
}

// ---- help pages that look the same whatever version of CLI11 made them --------------------------

// Of a command's description the first line is what the program's own page says about it.
class HelpPage : public CLI::FormatterBase {
 public:
  // `begin` is what a line begins with that is no word of the command: "heapscan "; empty in a
  // session.
  explicit HelpPage(std::string begin = "heapscan ") : begin_(std::move(begin)) {}
  [[nodiscard]] std::string make_help(const CLI::App* app, std::string name,
                                      CLI::AppFormatMode mode) const override;

 private:
  std::string begin_;
};

// ---- what is wrong with a command line, in words that help to write it right --------------------

// One sentence about the first word that could not be taken; says what was probably meant.
// `command` is null when none was chosen.
[[nodiscard]] std::string complaint(const CLI::App& program, const CLI::App* command,
                                    const CLI::ParseError& error);

// "there is no command …", and which one was probably meant.
[[nodiscard]] std::string unknown_command(const CLI::App& program, const std::string& word);

}  // namespace heapscan

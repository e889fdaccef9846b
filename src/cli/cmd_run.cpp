#include <fmt/format.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/acquire/run_process.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostExitCode = 255;

struct RunWords {
  const CLI::App* command = nullptr;  // holds the program's words
  uint64_t exit_code = kDefinitelyLost;
  bool follow = false;
  bool at_exec = false;
  SharedOptions shared;
};

std::vector<std::string> program_of(const RunWords& words) {
  std::vector<std::string> program = words.command->remaining();
  if (program.empty()) {
    throw Error(ErrorKind::Usage,
                "run needs the program to run, as in heapscan run -- ./program; see heapscan run "
                "--help");
  }
  if (program[0].starts_with('-')) {
    throw Error(ErrorKind::Usage, fmt::format("run has no option \"{}\"; see heapscan run --help",
                                              escaped(program[0])));
  }
  return program;
}

std::string again(const RunWords& words, const std::vector<std::string>& program) {
  std::string line = "heapscan run";
  if (words.follow) line += " --follow";
  if (words.at_exec) line += " --exec";
  line += " --";
  for (const std::string& word : program) line += ' ' + shell_word(word);
  return line;
}

// As a shell says it.
int exit_code_of_program(int status) {
  constexpr int kSignals = 128;
  return WIFSIGNALED(status) ? kSignals + WTERMSIG(status) : WEXITSTATUS(status);
}

// What the looks say, of which the worst decides.
class Verdicts {
 public:
  Verdicts(const RunWords& words, std::string again) : words_(words), again_(std::move(again)) {}

  void judge(const EndingProcess& process) {
    SharedOptions shared = words_.shared;
    if (makes_file(shared.output)) shared.output = name_for(process);
    shared.follows_another = is_any_;
    try {
      worst_ = std::max(worst_, run_report(shared, again_, process.capture));
      is_any_ = true;
    } catch (const Error& error) {
      say(fmt::format("no report on process {}: {}", process.pid, error.what()));
      worst_ = std::max(worst_, exit_code_of(error));
    }
    is_first_judged_ |= process.is_first && !process.goes_on;
  }

  // The program's exit code where that says more.
  [[nodiscard]] int exit_code(int status) const {
    const int own = exit_code_of_program(status);
    if (words_.exit_code == 0) return own;
    if (worst_ == kDefinitelyLost) return static_cast<int>(words_.exit_code);
    if (!is_first_judged_) say("no report: the program ended before it could be looked at");
    const int unjudged = is_first_judged_ ? worst_ : std::max<int>(worst_, kAcquireError);
    return own != 0 ? own : unjudged;
  }

 private:
  // A file each: of a process that becomes another program "leaks.4711-exec1.json".
  std::string name_for(const EndingProcess& process) {
    const std::string& output = words_.shared.output;
    if (process.goes_on)
      return with_word(output, fmt::format("{}-exec{}", process.pid, ++programs_left_));
    return process.is_first ? output : with_pid(output, process.pid);
  }

  const RunWords& words_;
  const std::string again_;
  int programs_left_ = 0;
  int worst_ = kNothingLost;
  bool is_any_ = false;
  bool is_first_judged_ = false;
};

int run_program_and_judge(const RunWords& words) {
  const std::vector<std::string> program = program_of(words);
  check_report(words.shared);
  Verdicts verdicts(words, again(words, program));
  RunOptions options{program, words.follow, words.at_exec};
  const int status =
      run_process(options, [&](const EndingProcess& process) { verdicts.judge(process); });
  return verdicts.exit_code(status);
}

void add_run_words(CLI::App& command, RunWords& words) {
  command.prefix_command();
  words.command = &command;
  words.shared.beside_program = true;
  add_text(command, "--exit-code", "N",
           "End with N when leaks were found; 0: always with the program's own exit code [1]",
           [&words](const std::string& text) {
             words.exit_code = number_from("--exit-code", text, kMostExitCode);
           });
  command.add_flag("--follow", words.follow,
                   "Judge the processes that it starts as well, each when it ends; with -o in a "
                   "file each, FILE with the process id in its name");
  command.add_flag("--exec", words.at_exec,
                   "Judge the program also before it becomes another one (exec); it stops at every "
                   "system call for that, which takes some 20 microseconds");
  add_shared_options(command, words.shared);
}

}  // namespace

void leave_out_mark(const CLI::App& program, std::vector<std::string>& words) {
  const auto with_program = program.get_subcommands([&](const CLI::App* command) {
    return command->get_prefix_command() && !words.empty() && command->get_name() == words[0];
  });
  if (with_program.empty()) return;
  for (size_t i = 1; i < words.size() && words[i].starts_with('-'); ++i) {
    if (words[i] == "--") {
      words.erase(words.begin() + static_cast<ptrdiff_t>(i));
      return;
    }
    const CLI::Option* const option = with_program[0]->get_option_no_throw(words[i]);
    if (option != nullptr && option->get_items_expected_min() > 0) ++i;  // its value
  }
}

void setup_run(CLI::App& program, Run& run) {
  add_command<RunWords>(
      program, run,
      {"run",
       "Run a program, and find what it has leaked when it ends\n"
       "Starts the program and holds it for a moment just before it is gone, when it has returned "
       "from main, called exit, or is about to die of a signal. What nothing in it points to any "
       "more is reported, as attach does; what is still reachable is no leak. The program is not "
       "changed or recompiled and runs at full speed. Its standard input and output are its own: "
       "the report goes to standard error, or to the file named with -o, and nothing is said "
       "when nothing is leaked.\n"
       "When the program becomes another one (exec), what it had lost by then is judged only with "
       "--exec. A program that it starts with the rights of another user (setuid) does not get "
       "them.",
       add_run_words,
       examples({
           {"heapscan run -- ./tests --filter parser",
            "What have the tests leaked? Exit code 1 if anything, else that of the tests."},
           {"heapscan run --follow -q -- make check", "Every process that make starts."},
           {"heapscan run --exit-code 0 --format json -o leaks.json -- ./server",
            "A report beside a program whose exit code is kept."},
           {"heapscan run --suppressions known.supp -- ./tests", "All but what is known."},
       }) + "\nExit codes:\n"
            "  1  definite leaks were found (--exit-code)\n"
            "  2  wrong command line; the program was not started\n"
            "  3  it cannot be run or traced; or it ended well and was not judged\n"
            "  4  it ended well and cannot be analysed: see heapscan --help\n"
            "  N  otherwise the program's own; 128 and the signal's number when one killed it\n",
       run_program_and_judge});
}

}  // namespace heapscan

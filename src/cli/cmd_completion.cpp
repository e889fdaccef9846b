#include <string>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"

namespace heapscan {

namespace {

enum class Shell { Bash, Zsh, Fish };

struct CompletionOptions {
  const CLI::App* program = nullptr;
  Shell shell = Shell::Bash;
};

int run_completion(const CompletionOptions& options) {
  write_output("", [&](std::ostream& out) {
    switch (options.shell) {
      case Shell::Bash:
        return write_bash_completion(*options.program, out);
      case Shell::Zsh:
        return write_zsh_completion(*options.program, out);
      case Shell::Fish:
        return write_fish_completion(*options.program, out);
    }
  });
  return kNothingLost;
}

void add_completion_words(CLI::App& command, CompletionOptions& options) {
  options.program = command.get_parent();
  add_choice<Shell>(command, "shell", options.shell,
                    {{"bash", Shell::Bash}, {"zsh", Shell::Zsh}, {"fish", Shell::Fish}},
                    "The shell that is to load it")
      ->required();
}

}  // namespace

Offered offered_for(const OptionFacts& word) {
  const auto takes = [&](const char* kind) { return word.type.find(kind) != std::string::npos; };
  if (!word.choices().empty()) return Offered::Choices;
  if (takes("PID") && takes("FILE")) return Offered::ProcessesAndFiles;
  if (takes("PID")) return Offered::Processes;
  if (takes("FILE") || takes("PROGRAM")) return Offered::Files;
  if (takes("BEFORE")) return Offered::ProcessesAndFiles;
  if (takes("DIR")) return Offered::Folders;
  if (takes("COMMAND")) return Offered::Commands;
  return Offered::Nothing;
}

void setup_completion(CLI::App& program, Run& run) {
  add_command<CompletionOptions>(
      program, run,
      {"completion",
       "Print the script that completes heapscan's words in a shell\n"
       "An installed heapscan has put it where bash, zsh and fish look for it; this is for one "
       "that "
       "was not installed.",
       add_completion_words,
       examples(
           {{"eval \"$(heapscan completion bash)\"",
             "Complete in this shell; in ~/.bashrc, in each."},
            {"heapscan completion zsh > ~/.zfunc/_heapscan",
             "For zsh, where ~/.zfunc is in fpath."},
            {"heapscan completion fish > ~/.config/fish/completions/heapscan.fish", "For fish."}}),
       run_completion});
}

}  // namespace heapscan

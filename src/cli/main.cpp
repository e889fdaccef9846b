#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/watch_process.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

// Whatever is opened later must not become one of these by chance and be written to.
void fill_standard_descriptors() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDONLY);  // not for writing: a closed standard output stays an error
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

// What a stage has needed is given back when it ends. By itself glibc keeps up to 64 MiB of it, and
// puts what comes next beside what it keeps.
void give_back_what_is_freed() {
  constexpr int kLarge = 1 << 20;  // bytes
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, kLarge);
}

void describe_program(CLI::App& program) {
  program.formatter(std::make_shared<HelpPage>());
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  program.description(
      "heapscan finds leaked memory in a running process or a core dump: malloc blocks that have "
      "become unreachable. No restart, no recompilation, nothing preloaded.");
  program.set_version_flag("--version", "heapscan " HEAPSCAN_VERSION, "Show the version");
  program.set_help_flag("-h,--help", "Show this help");
  program.footer(
      examples(
          {{"heapscan attach 4711", "What has process 4711 leaked?"},
           {"heapscan core core.4711", "What had it leaked when this core was written?"},
           {"heapscan snapshot 4711 -o before.core", "Keep it for later; gdb opens it, too."},
           {"heapscan watch 4711", "How fast does it grow, and what of it?"},
           {"heapscan trace 4711", "Which code leaks, while it goes on?"},
           {"heapscan run -- ./server --port 8080", "What has it leaked when it ends?"},
           {"heapscan attach 4711 --format json -o report.json", "The same as JSON, for scripts."},
           {"heapscan help attach", "All options, with more examples."}}) +
      "\nExit codes:\n"
      "  0  no leaks found\n"
      "  1  definite leaks found\n"
      "  2  wrong command line\n"
      "  3  the process or file cannot be read, or the result cannot be written\n"
      "  4  its allocator is not supported, or it is no 64-bit x86 program\n");
}

// The chosen command's help, or the program's.
std::string help_of(const CLI::App& program) {
  const auto chosen = program.get_subcommands();
  return chosen.empty() ? program.help() : chosen.front()->help();
}

int report_usage(const CLI::App& program, const CLI::ParseError& error) {
  const auto chosen = program.get_subcommands();
  const CLI::App* const command = chosen.empty() ? nullptr : chosen.front();
  const std::string help = command == nullptr
                               ? "heapscan --help"
                               : fmt::format("heapscan {} --help", command->get_name());
  say(fmt::format("{}; see {}", escaped(complaint(program, command, error)), help));
  return kUsageError;
}

int run_words(CLI::App& program, Run& run, int argc, char** argv) {
  try {
    std::vector<std::string> words(argv + 1, argv + argc);
    leave_out_mark(program, words);
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    program.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    write_output("", [&](std::ostream& out) { out << help_of(program); });
    return 0;
  } catch (const CLI::CallForVersion& version) {
    write_output("", [&](std::ostream& out) { out << version.what() << '\n'; });
    return 0;
  } catch (const CLI::ParseError& error) {
    return report_usage(program, error);
  }
  if (!run)
    throw Error(
        ErrorKind::Usage,
        "no command given; use heapscan attach PID or heapscan core FILE, see heapscan --help");
  return run();
}

int run_program(int argc, char** argv) {
  CLI::App program;
  Run run;
  describe_program(program);
  program.require_subcommand(0, 1);
  setup_attach(program, run);
  setup_core(program, run);
  setup_diff(program, run);
  setup_snapshot(program, run);
  setup_watch(program, run);
  setup_trace(program, run);
  setup_run(program, run);
  setup_triage(program, run);
  setup_explore(program, run);
  setup_questions(program, run);
  setup_help(program, run);
  setup_completion(program, run);
  return run_words(program, run, argc, argv);
}

}  // namespace

}  // namespace heapscan

int main(int argc, char** argv) {
  using namespace heapscan;
  if (argc > 1 && std::string_view(argv[1]) == "watch") hold_report_signal();
  fill_standard_descriptors();
  give_back_what_is_freed();
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may grow no further is an error like others
  exit_on_file_fault();
  try {
    return run_program(argc, argv);
  } catch (const Error& error) {
    say(error.what());
    return exit_code_of(error);
  } catch (const std::bad_alloc&) {
    say("not enough memory; analyse a core dump on a larger machine");
  } catch (const std::exception& error) {
    say(fmt::format("internal error: {}", escaped(error.what())));
  }
  return kAcquireError;
}

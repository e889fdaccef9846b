#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <memory>
#include <new>

#include "cli/commands.h"
#include "cli/file_fault.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_report.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

void say(const std::string& sentence) {
  const std::string line = "heapscan: " + sentence + "\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

// Whatever is opened later must not become one of these by chance and be written to.
void fill_standard_descriptors() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDONLY);  // not for writing: a closed standard output stays an error
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

void describe_program(CLI::App& program) {
  program.formatter(std::make_shared<HelpPage>());
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  program.description(
      "heapscan finds the memory that a running process or a core dump has lost: malloc blocks "
      "that nothing can reach "
      "any more. No restart, no recompilation, nothing preloaded.");
  program.set_version_flag("--version", "heapscan " HEAPSCAN_VERSION, "Show the version");
  program.set_help_flag("-h,--help", "Show this help");
  program.footer(
      examples({{"heapscan attach 4711", "What has process 4711 lost?"},
                {"heapscan core core.4711", "What had it lost when this core was made?"},
                {"heapscan attach nginx --format json -o report.json", "The same for scripts."},
                {"heapscan attach --help", "All the options, with more examples."}}) +
      "\nExit codes:\n"
      "  0  nothing is lost\n"
      "  1  definitely lost blocks were found\n"
      "  2  the command line is wrong\n"
      "  3  the process or file could not be read, or the report could not be written\n"
      "  4  its allocator is not supported\n");
}

int exit_code_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::Usage:
      return kUsageError;
    case ErrorKind::Acquire:
      return kAcquireError;
    case ErrorKind::Unsupported:
      return kUnsupported;
  }
  return kAcquireError;
}

// The chosen command's help, or the program's.
std::string help_of(const CLI::App& program) {
  const auto chosen = program.get_subcommands();
  return chosen.empty() ? program.help() : chosen.front()->help();
}

// "frob" of "The following argument was not expected: frob".
std::string unexpected_words(const CLI::ParseError& error) {
  const std::string text = error.what();
  const size_t colon = text.rfind(": ");
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

std::string complaint(const CLI::App* command, const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    return command == nullptr ? fmt::format("there is no command \"{}\"", unexpected_words(error))
                              : fmt::format("{} does not take \"{}\"", command->get_name(),
                                            unexpected_words(error));
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string text = error.what();
    return text.substr(0, text.find(':')) + " needs a value";
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && command != nullptr) {
    return fmt::format("{} needs to know what to look at", command->get_name());
  }
  return error.what();
}

int report_usage(const CLI::App& program, const CLI::ParseError& error) {
  const auto chosen = program.get_subcommands();
  const CLI::App* const command = chosen.empty() ? nullptr : chosen.front();
  const std::string help = command == nullptr
                               ? "heapscan --help"
                               : fmt::format("heapscan {} --help", command->get_name());
  say(fmt::format("{}; {} explains", escaped(complaint(command, error)), help));
  return kUsageError;
}

int run_words(CLI::App& program, Run& run, int argc, char** argv) {
  try {
    program.parse(argc, argv);
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
    throw Error(ErrorKind::Usage,
                "say what to look at: heapscan attach PID, or heapscan core FILE; heapscan --help "
                "explains");
  return run();
}

int run_program(int argc, char** argv) {
  CLI::App program;
  Run run;
  describe_program(program);
  program.require_subcommand(0, 1);
  setup_attach(program, run);
  setup_core(program, run);
  return run_words(program, run, argc, argv);
}

}  // namespace

}  // namespace heapscan

int main(int argc, char** argv) {
  using namespace heapscan;
  fill_standard_descriptors();
  signal(SIGPIPE, SIG_IGN);
  exit_on_file_fault();
  try {
    return run_program(argc, argv);
  } catch (const Error& error) {
    say(error.what());
    return exit_code_of(error);
  } catch (const std::bad_alloc&) {
    say("there is not enough memory for this; look at a core dump on a host with more of it");
  } catch (const std::exception& error) {
    say(fmt::format("something unforeseen happened: {}", escaped(error.what())));
  }
  return kAcquireError;
}

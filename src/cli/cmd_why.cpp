#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/report/why.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostPaths = 1000;

struct WhyWords {
  std::string target;
  std::vector<std::string> addresses;
  uint64_t paths = 1;
  SharedOptions shared;
};

Addr address_from(const std::string& text) {
  const std::string digits = text.starts_with("0x") ? text.substr(2) : text;
  if (digits.empty() || digits.size() > 16 ||
      digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    throw Error(ErrorKind::Usage,
                fmt::format("\"{}\" is no address; addresses are hexadecimal, such as "
                            "0x5581e0a3c2a0",
                            escaped(text)));
  return Addr(std::stoull(digits, nullptr, 16));
}

int run_why(const WhyWords& words) {
  const SharedOptions& shared = words.shared;
  std::vector<Addr> addresses;
  for (const std::string& text : words.addresses) addresses.push_back(address_from(text));
  check_output(shared.output);
  const Door door = find_door(words.target, shared);
  const ThreadLimit limit(shared.threads);
  std::optional<Progress> progress(std::in_place, !shared.report.quiet);
  const Look look = look_at_live_memory(shared, door.capture, *progress);
  WhyOptions options;
  options.paths = words.paths;
  options.content = shared.report.content;
  options.verbose = shared.report.verbose;
  options.command = "heapscan why " + door.word;
  for (const Addr address : addresses) options.command += " " + hex(address);
  Timing timing = look.timing;
  WhyReport report = timed("report", timing, [&] {
    return describe_why(look.captured.facts, look.analysis, addresses, options);
  });
  if (shared.report.timing) report.timing = std::move(timing);
  require_unchanged(look.captured);
  progress.reset();
  write_report(shared, report);
  return kNothingLost;
}

}  // namespace

void setup_why(CLI::App& program, Run& run) {
  CLI::App* const command = program.add_subcommand(
      "why",
      "Show why a block is still reachable\n"
      "Says which block an address is in and gives the shortest chain of pointers that leads to "
      "it from a variable, a stack or a register, with the names of members where they are known. "
      "Of a block that nothing reaches it says what referred to it last.");
  const auto words = std::make_shared<WhyWords>();
  command->add_option("target", words->target, "Process id or name, core dump or snapshot")
      ->required()
      ->type_name("PID|NAME|FILE");
  command->add_option("address", words->addresses, "Addresses in hexadecimal")
      ->required()
      ->type_name("ADDR")
      ->expected(1, -1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option_function<std::string>(
          "--paths",
          [words](const std::string& text) {
            words->paths = number_from("--paths", text, kMostPaths);
          },
          "Show up to N chains, each by another last pointer [1]")
      ->type_name("N");
  add_look_options(*command, words->shared);
  command->footer(examples({
      {"heapscan why 4711 0x5581e0a3c2a0", "Who holds the block at this address?"},
      {"heapscan why core.4711 0x5581e0a3c2a0 --paths 5", "The same, up to five ways to it."},
      {"heapscan attach 4711 --blocks all --kinds reachable",
       "Where the addresses of live blocks come from."},
  }));
  command->callback([words, &run] { run = [words] { return run_why(*words); }; });
}

}  // namespace heapscan

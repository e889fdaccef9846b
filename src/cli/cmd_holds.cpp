#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/base/parallel.h"
#include "heapscan/report/holds.h"

namespace heapscan {

namespace {

constexpr uint64_t kDeepest = 1000;
constexpr uint64_t kMostChildren = 1'000'000;

struct HoldsWords {
  std::string target;
  std::string holder;  // empty: everything
  uint64_t depth = 3;
  uint64_t top = 5;
  SharedOptions shared;
};

int run_holds(const HoldsWords& words) {
  const SharedOptions& shared = words.shared;
  check_output(shared.output);
  const Door door = find_door(words.target, shared);
  const ThreadLimit limit(shared.threads);
  std::optional<Progress> progress(std::in_place, !shared.report.quiet);
  const Look look = look_at_live_memory(shared, door.capture, *progress);
  HoldsOptions options;
  options.fold.depth = static_cast<int>(words.depth);
  options.fold.most_children = words.top;
  options.content = shared.report.content;
  options.verbose = shared.report.verbose;
  options.command = "heapscan holds " + door.word;
  if (!words.holder.empty()) {
    options.fold.by = find_holder(look.analysis, words.holder);
    options.command += " " + shell_word(words.holder);
  }
  Timing timing = look.timing;
  HoldsReport report = timed("report", timing, [&] {
    return describe_holds(look.captured.facts, look.analysis, options);
  });
  if (shared.report.timing) report.timing = std::move(timing);
  require_unchanged(look.captured);
  progress.reset();
  write_report(shared, report);
  return kNothingLost;
}

}  // namespace

void setup_holds(CLI::App& program, Run& run) {
  CLI::App* const command = program.add_subcommand(
      "holds",
      "Show what holds the live memory\n"
      "Works out for every variable, thread and block how much memory is reachable through it "
      "alone, which is what would be freed with it, and shows the largest: variables first, then "
      "what hangs below them, alike blocks in one row. Memory that several roots share is shown "
      "below what they have in common.");
  const auto words = std::make_shared<HoldsWords>();
  command->add_option("target", words->target, "Process id or name, core dump or snapshot")
      ->required()
      ->type_name("PID|NAME|FILE");
  command
      ->add_option("holder", words->holder,
                   "Only what this holds: a variable, a module, \"thread 4711\", or a group's id")
      ->type_name("ROOT|ID");
  command
      ->add_option_function<std::string>(
          "--depth",
          [words](const std::string& text) {
            words->depth = number_from("--depth", text, kDeepest);
          },
          "Show N levels [3]")
      ->type_name("N");
  command
      ->add_option_function<std::string>(
          "-n,--top",
          [words](const std::string& text) {
            words->top = number_from("--top", text, kMostChildren);
          },
          "Show the N largest of each level [5]")
      ->type_name("N");
  add_look_options(*command, words->shared);
  command->footer(examples({
      {"heapscan holds 4711", "Which variables hold the memory of process 4711?"},
      {"heapscan holds core.4711 sessions --depth 6", "What is in the variable sessions?"},
      {"heapscan holds 4711 3f2a90c1", "What do the blocks of group 3f2a90c1 hold?"},
      {"heapscan holds 4711 --format json -n 1000", "For scripts."},
  }));
  command->callback([words, &run] { run = [words] { return run_holds(*words); }; });
}

}  // namespace heapscan

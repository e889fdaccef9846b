#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <set>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_report.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/diff/diff.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/names.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostGroups = 1'000'000;

struct DiffWords {
  std::vector<std::string> targets;
  uint64_t top = 10;
  bool new_only = false;
  SharedOptions shared;
};

std::vector<Door> find_doors(const DiffWords& words) {
  if (words.targets.size() < 2)
    throw Error(ErrorKind::Usage,
                "diff compares two looks or more: heapscan diff BEFORE AFTER, each a snapshot, a "
                "core dump or a process");
  std::vector<Door> doors;
  for (const std::string& target : words.targets) doors.push_back(find_door(target, words.shared));
  return doors;
}

std::string again(const DiffWords& words, const std::vector<Door>& doors) {
  std::string command = "heapscan diff";
  for (const Door& door : doors) command += " " + door.word;
  return command + (words.new_only ? " --new-only" : "");
}

// The ids of kinds that grew, as the later look has them.
std::multiset<std::string> grown(const Analysis& after, const Delta& delta) {
  std::multiset<std::string> ids;
  for (const KindChange& kind : delta.kinds) {
    if (kind.after.valid() && kind.growth() > 0) ids.insert(id_of(after, kind.after));
  }
  return ids;
}

Delta compare(const Look& before, const Look& after, bool is_same) {
  return diff(before.analysis, after.analysis, is_same,
              {before.captured.hashes, after.captured.hashes});
}

// The phases of one of several looks.
void append_times(const Look& look, size_t number, Timing& timing) {
  for (const auto& [phase, seconds] : look.timing)
    timing.emplace_back(fmt::format("{}: {}", number, phase), seconds);
}

int run_diff(const DiffWords& words) {
  const SharedOptions& shared = words.shared;
  check_output(shared.output);
  const std::vector<Door> doors = find_doors(words);
  const ThreadLimit limit(shared.threads);
  std::optional<Progress> progress(std::in_place, !shared.report.quiet);
  const Look first = look_at_held_memory(shared, doors.front().capture, *progress);
  std::optional<Look> last;
  std::multiset<std::string> grown_ids;  // once per interval
  Timing timing;
  append_times(first, 1, timing);
  for (size_t i = 1; i < doors.size(); ++i) {
    Look next = look_at_held_memory(shared, doors[i].capture, *progress);
    if (doors.size() > 2) {
      const Look& before = last ? *last : first;
      const SameProcess same = compare_processes(before.analysis.image, next.analysis.image);
      grown_ids.merge(grown(next.analysis, compare(before, next, same.is_same)));
    }
    append_times(next, i + 1, timing);
    if (last) require_unchanged(last->captured);
    last.emplace(std::move(next));
  }

  progress->stage("comparing");
  const SameProcess same = compare_processes(first.analysis.image, last->analysis.image);
  const Delta delta = timed("compare", timing, [&] { return compare(first, *last, same.is_same); });
  ChangesOptions options;
  options.top = words.top;
  options.new_only = words.new_only;
  options.content = shared.report.content;
  options.verbose = shared.report.verbose;
  options.command = again(words, doors);
  ChangeReport report = timed("report", timing, [&] {
    return describe_changes({first.captured.facts, first.analysis},
                            {last->captured.facts, last->analysis}, delta, options);
  });
  if (shared.report.timing) report.timing = std::move(timing);
  report.why_not_same = same.why_not;
  report.intervals = doors.size() - 1;
  if (report.intervals > 1) {
    for (ChangeRow& row : report.rows) row.grew = grown_ids.count(row.cluster);
  }
  if (first.captured.facts.captured_at > last->captured.facts.captured_at)
    say("the first look is later than the last one; they are compared in the order given");
  require_unchanged(first.captured);
  require_unchanged(last->captured);
  progress.reset();
  write_report(shared, report);
  return report.anything_leaked() ? kDefinitelyLost : kNothingLost;
}

}  // namespace

void setup_diff(CLI::App& program, Run& run) {
  CLI::App* const command = program.add_subcommand(
      "diff",
      "Show what grew between two looks\n"
      "Compares snapshots or core dumps of one process taken some time apart; the last one may be "
      "the process itself, as it is now. Says what explains the growth: memory that leaked, "
      "memory that is held and by what, memory that malloc keeps, mappings, stacks; then which "
      "kinds of blocks grew. Blocks that are unreachable both times and unchanged are leaks for "
      "certain.");
  const auto words = std::make_shared<DiffWords>();
  command->add_option("looks", words->targets, "Snapshots, core dumps, or a process, oldest first")
      ->required()
      ->type_name("BEFORE AFTER...")
      ->expected(1, -1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option_function<std::string>(
          "-n,--top",
          [words](const std::string& text) {
            words->top = number_from("--top", text, kMostGroups);
          },
          "Show the N groups that grew most [10]")
      ->type_name("N");
  command->add_flag("--new-only", words->new_only, "Only groups that were not there before");
  add_look_options(*command, words->shared);
  command->footer(examples({
      {"heapscan snapshot 4711 -o before; sleep 300; heapscan diff before 4711",
       "What has process 4711 gained in five minutes?"},
      {"heapscan diff monday.core tuesday.core wednesday.core",
       "What grew each day, and what grew on one of them only?"},
      {"heapscan diff before.core after.core --format json -n 1000", "For scripts."},
  }));
  command->callback([words, &run] { run = [words] { return run_diff(*words); }; });
}

}  // namespace heapscan

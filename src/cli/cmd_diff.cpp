#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <set>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/diff/diff.h"
#include "heapscan/diff/imprint.h"
#include "heapscan/report/changes.h"
#include "heapscan/report/lines.h"
#include "heapscan/report/page.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostGroups = 1'000'000;

struct DiffWords {
  std::vector<std::string> targets;
  std::optional<uint64_t> top;
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
  return command + (words.new_only ? " --new-only" : "") + (words.shared.sites ? " --sites" : "");
}

// What is kept of a look. Its memory is a part of it for the sake of looks that left numbers out.
struct KeptLook {
  Capture captured;
  Imprint imprint;
  LookSummary summary;
};

// The ids of kinds that grew, as the later look has them.
std::multiset<std::string> grown(const KeptLook& after, const Delta& delta) {
  std::multiset<std::string> ids;
  for (const KindChange& kind : delta.kinds) {
    if (kind.after.valid() && kind.growth() > 0) ids.insert(after.summary.groups[kind.after].id);
  }
  return ids;
}

// `memory` is that of the later look.
Delta compare(const KeptLook& before, const KeptLook& after, const MemoryImage& memory) {
  return diff(before.imprint, after.imprint,
              compare_processes(before.imprint.program, after.imprint.program).is_same,
              test_kept_words(before.captured.image, memory));
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
  std::optional<KeptLook> first;
  std::optional<KeptLook> last;
  std::multiset<std::string> grown_ids;  // once per interval
  Timing timing;
  ReportOrigin origin;
  Delta delta;
  HoldersOfBorn holders;
  for (size_t i = 0; i < doors.size(); ++i) {
    // Who holds what is new, and which code allocated it, is asked of the last look.
    const bool is_last = i + 1 == doors.size();
    Look look = look_at_live_memory(shared, doors[i].capture, *progress,
                                    is_last ? HoldingWanted::Always : HoldingWanted::Never,
                                    shared.sites && is_last);
    append_times(look, i + 1, timing);
    progress->stage("comparing");
    const MemoryImage& memory = look.analysis.image;
    KeptLook next;
    next.imprint = timed(fmt::format("{}: imprint", i + 1), timing,
                         [&] { return make_imprint(look.analysis, look.captured.hashes); });
    next.summary = summarize_look(look.captured.facts, look.analysis, shared.report.content);
    if (i > 0 && doors.size() > 2)
      grown_ids.merge(grown(next, compare(last ? *last : *first, next, memory)));
    if (i > 0 && is_last) {
      delta = timed("compare", timing, [&] { return compare(*first, next, memory); });
      origin = origin_of(look);
      holders = timed("find holders", timing,
                      [&] { return find_holders_of_born(look.analysis, next.imprint, delta); });
    }
    next.captured = std::move(look.captured);
    next.captured.image = std::move(look.analysis.image);
    if (last) require_unchanged(last->captured);
    (first ? last : first).emplace(std::move(next));
  }

  ChangesOptions options;
  options.top = groups_to_list(words.top, shared.format);
  options.with_still = shared.format == Format::Jsonl;
  options.new_only = words.new_only;
  options.verbose = shared.report.verbose;
  options.command = again(words, doors);
  ChangeReport report = timed("report", timing, [&] {
    return describe_changes(first->summary, last->summary, delta, holders, options);
  });
  if (shared.report.timing) report.timing = std::move(timing);
  report.why_not_same = compare_processes(first->imprint.program, last->imprint.program).why_not;
  report.intervals = doors.size() - 1;
  if (report.intervals > 1) {
    for (ChangeRow& row : report.rows) row.grew = grown_ids.count(row.cluster);
  }
  if (first->captured.facts.captured_at > last->captured.facts.captured_at)
    say("the first look is later than the last one; they are compared in the order given");
  require_unchanged(first->captured);
  require_unchanged(last->captured);
  progress.reset();
  if (shared.format == Format::Jsonl) {
    write_output(shared.output, [&](std::ostream& out) { render_jsonl(report, origin, out); });
  } else {
    write_report(shared, report);
  }
  return report.anything_leaked() ? kDefinitelyLost : kNothingLost;
}

void add_diff_words(CLI::App& command, DiffWords& words) {
  add_last_words(command, "looks", "BEFORE AFTER...",
                 "Snapshots, core dumps, or a process, oldest first", words.targets);
  add_top_option(command, kMostGroups, words.top,
                 "Show the N groups that grew most [10; with jsonl all groups]");
  command.add_flag("--new-only", words.new_only, "Only groups that were not there before");
  add_sites_option(command, words.shared);
  add_look_options(command, words.shared, {Format::Html, Format::Jsonl});
}

}  // namespace

void setup_diff(CLI::App& program, Run& run) {
  add_command<DiffWords>(
      program, run,
      {"diff",
       "Show what grew between two looks\n"
       "Compares snapshots or core dumps of one process taken some time apart; the last one may be "
       "the process itself, as it is now. Says what explains the growth: memory that leaked, "
       "memory that is held and by what, memory that malloc keeps, mappings, stacks; then which "
       "kinds of blocks grew. Blocks that are unreachable both times and unchanged are leaks for "
       "certain.",
       add_diff_words,
       examples({
           {"heapscan snapshot 4711 -o before; sleep 300; heapscan diff before 4711",
            "What has process 4711 gained in five minutes?"},
           {"heapscan diff monday.core tuesday.core wednesday.core",
            "What grew each day, and what grew on one of them only?"},
           {"heapscan diff before.core after.core --format json -n 1000", "For scripts."},
           {"heapscan diff before.core after.core --format html -o growth.html",
            "A page with each group before and after, for a browser."},
       }),
       run_diff});
}

}  // namespace heapscan

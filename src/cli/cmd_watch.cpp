#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/watch_process.h"
#include "heapscan/acquire/snapshot.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostSamples = 1'000'000'000;
constexpr uint64_t kMostGroupsNamed = 1'000'000;

int run_watch(const WatchWords& words) {
  const ThreadLimit limit(words.shared.threads);
  (void)snapshot_name_for(words.snapshot_name(), 1);  // its letters are checked
  if (words.snapshot && !words.until_growth && !words.near_limit) {
    throw Error(
        ErrorKind::Usage,
        "--output names the snapshot that --until-growth or --near-limit writes, and neither "
        "was given; to keep the report, redirect standard output");
  }
  const int pid = pick_processes(words.process.target, words.process.pick).front();
  if (words.until_growth || words.near_limit)
    check_snapshot_path(snapshot_name_for(words.snapshot_name(), pid), words.keep.force);
  return watch_process(pid, words);
}

double percent_from(const std::string& option, std::string text) {
  if (text.ends_with('%')) text.pop_back();
  return decimal_from(option, text, 1, 100, "percent") / 100;
}

void add_target_words(CLI::App& command, WatchWords& words) {
  add_process_word(command, words.process);
  add_text(command, "seconds", "[SECONDS]", "Between samples; fractions are fine [10]",
           [&words](const std::string& text) {
             words.interval = decimal_from("SECONDS", text, 0.01, 86400, "seconds");
           });
  add_text(command, "count", "[COUNT]", "End after so many samples [until the process ends]",
           [&words](const std::string& text) {
             words.samples = number_from("COUNT", text, kMostSamples);
             if (*words.samples < 2)
               throw CLI::ValidationError("COUNT is at least 2: growth takes two samples to see");
           });
  add_process_options(command, words.process, "a stop");
}

void add_look_words(CLI::App& command, WatchWords& words) {
  add_number(command, "--every", kMostSamples, words.every,
             "Look inside at every Nth sample as well [only when memory has grown]");
  add_text(command, "--max-pause", "MS",
           "Make no look that is expected to stop the process for more than MS milliseconds",
           [&words](const std::string& text) {
             words.limits.single = decimal_from("--max-pause", text, 0, 1e9, "milliseconds") / 1e3;
           });
  add_text(command, "--max-stopped", "MS",
           "Make no more looks when all stops together would take more than MS milliseconds",
           [&words](const std::string& text) {
             words.limits.total = decimal_from("--max-stopped", text, 0, 1e9, "milliseconds") / 1e3;
           });
}

void add_snapshot_words(CLI::App& command, WatchWords& words) {
  add_text(command, "--until-growth", "SIZE",
           "When memory without files has grown by SIZE since the start, write a snapshot, report "
           "and end",
           [&words](const std::string& text) {
             words.until_growth = size_from("--until-growth", text);
           });
  add_text(
      command, "--near-limit", "PERCENT",
      "The same when so much of a cgroup's limit, or of the machine's memory, is used",
      [&words](const std::string& text) { words.near_limit = percent_from("--near-limit", text); });
  add_text(command, "-o,--output", "FILE",
           "Name of the snapshot, packed with zstd if it ends in .zst; %p, %h and %t in it are the "
           "process id, the host and the time in seconds [heapscan-%p-%t.core.zst]",
           [&words](const std::string& text) {
             if (text.empty() || text == "-")
               throw CLI::ValidationError(
                   fmt::format("--output takes the name of a file, not \"{}\"", text));
             words.snapshot = text;
           });
  add_keep_options(command, words.keep);
}

void add_report_words(CLI::App& command, WatchWords& words) {
  add_top_option(command, kMostGroupsNamed, words.top,
                 "Report the N groups that grew most [10; with jsonl all groups]");
  add_sites_option(command, words.shared);
  add_content_option(command, words.shared.report);
  add_format_option(command, words.shared, {Format::Html, Format::Jsonl});
  add_color_option(command, words.shared);
  CLI::Option* const verbose =
      command.add_flag("-v,--verbose", words.verbose,
                       "Say before each look what it will cost the process, and show all notes");
  command.add_flag("-q,--quiet", words.quiet, "Write reports only, no samples and looks")
      ->excludes(verbose);
  add_reading_options(command, words.shared);
}

void add_watch_words(CLI::App& command, WatchWords& words) {
  add_target_words(command, words);
  add_look_words(command, words);
  add_snapshot_words(command, words);
  add_report_words(command, words);
}

}  // namespace

void setup_watch(CLI::App& program, Run& run) {
  add_command<WatchWords>(
      program, run,
      {"watch",
       "Watch a process grow, and say what grows\n"
       "Reads every few seconds how much memory the process takes, which does not stop it. Looks "
       "inside, as attach does, at the start, when memory without files has grown by a twentieth "
       "and 4 MiB since the last look, and at the end. Then says which groups of blocks grew, "
       "and in how many of the intervals; what holds them; what is leaked for certain; how fast "
       "memory grows, how sure that is, and when the limit of a cgroup or of the machine is met.\n"
       "Ends with Ctrl-C, with the process, or after COUNT samples; kill -USR1 makes a report and "
       "goes on. Between looks it keeps 32 bytes for each block of the first and of the last "
       "look, and no memory of the process.",
       add_watch_words,
       examples({
           {"heapscan watch 4711", "A sample every 10 seconds until Ctrl-C, and then the report."},
           {"heapscan watch nginx --newest 60 30 -q",
            "Half an hour of the nginx process started last; only the report."},
           {"heapscan watch 4711 1 --every 60 --max-pause 50",
            "A look each minute, but none that stops the process for more than 50 ms."},
           {"heapscan watch 4711 --near-limit 90% -o '/var/tmp/%p-%t.core.zst'",
            "Keep the evidence before the kernel kills it."},
           {"heapscan watch 4711 5 --format json | jq -c 'select(.type == \"sample\")'",
            "For scripts: an object a line."},
           {"heapscan watch 4711 10 360 --format html > hour.html",
            "An hour as one page, written at the end."},
       }) + "\nExit codes:\n"
            "  0  nothing was found to be leaked\n"
            "  1  something was: unreachable in the last two looks and unchanged, or newly so\n"
            "  2  wrong command line\n"
            "  3  the process cannot be read, or the snapshot cannot be written\n"
            "  4  its allocator is not supported, or it is no 64-bit x86 program\n",
       run_watch});
}

}  // namespace heapscan

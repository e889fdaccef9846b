#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "cli/commands.h"
#include "cli/cost_limits.h"
#include "cli/keep_capture.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/acquire/snapshot.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

struct KeepOptions {
  ProcessWords process;
  CostLimits limits;
  std::string output;
  KeepHow how;
  bool quiet = false;
  bool verbose = false;
};

std::string cost_of(const PauseEstimate& estimate) {
  return fmt::format("about {} to copy, {} to stop; expected pause {:.1f} ms",
                     human_bytes(estimate.bytes), counted(estimate.threads, "thread"),
                     estimate.pause_seconds * 1e3);
}

std::string name_for(const KeepOptions& options, int pid) {
  const std::string name = snapshot_name_for(options.output, pid);
  const bool one_of_several = options.process.pick == Pick::All && !names_pid(options.output);
  return one_of_several ? with_pid(name, pid) : name;
}

void keep(int pid, const KeepOptions& options) {
  const std::string path = name_for(options, pid);
  check_snapshot_path(path, options.how.force);
  std::optional<Progress> progress(std::in_place, !options.quiet);
  progress->stage("copying memory");
  const Capture capture = capture_process(
      pid, capture_within(
               pid, options.process, options.limits,
               options.verbose ? cost_of : std::function<std::string(const PauseEstimate&)>()));

  const std::string summary = keep_capture(capture, path, options.how, *progress);
  progress.reset();
  if (!options.quiet) say(summary);
}

int run_snapshot(const KeepOptions& options) {
  const ThreadLimit limit(options.how.reading.threads);
  (void)expanded_name(options.output, {});
  if (options.output == "-") {
    throw Error(ErrorKind::Usage,
                "a snapshot has holes and cannot go to standard output; name a file with -o");
  }
  const std::vector<int> pids = pick_processes(options.process.target, options.process.pick);
  int worst = kNothingLost;
  for (const int pid : pids) {
    try {
      keep(pid, options);
    } catch (const Error& error) {
      if (options.process.pick != Pick::All) throw;
      say(error.what());
      worst = std::max(worst, exit_code_of(error));
    }
  }
  return worst;
}

void add_file_options(CLI::App& command, KeepOptions& options) {
  add_text(command, "-o,--output", "FILE",
           "Write the snapshot to FILE, packed with zstd if that ends in .zst; %p, %h and %t in it "
           "are the process id, the host and the time in seconds",
           [&options](const std::string& text) { options.output = file_from("--output", text); })
      ->required();
  add_keep_options(command, options.how);
  CLI::Option* const verbose = command.add_flag("-v,--verbose", options.verbose,
                                                "Say beforehand what it will cost the process");
  command.add_flag("-q,--quiet", options.quiet, "Say nothing unless something goes wrong")
      ->excludes(verbose);
}

void add_snapshot_words(CLI::App& command, KeepOptions& options) {
  add_process_word(command, options.process);
  add_process_options(command, options.process, "the stop",
                      "A snapshot of each process of that name, in a file each, FILE with the "
                      "process id in its name");
  add_cost_options(command, options.limits);
  add_file_options(command, options);
  add_reading_options(command, options.how.reading);
}

}  // namespace

void setup_snapshot(CLI::App& program, Run& run) {
  add_command<KeepOptions>(
      program, run,
      {"snapshot",
       "Keep the memory of a running process in a file\n"
       "Stops the process for a moment, copies its memory, lets it run on, and only then writes "
       "the copy to FILE: a core dump that gdb opens, with a note of what a core dump cannot say. "
       "heapscan core FILE reports on it as attach would have done, here or on another machine, "
       "now "
       "or later. The file is yours alone (mode 0600) and appears when it is whole. With --content "
       "pointers or none it holds no text: blocks can still be found, judged and grouped.",
       add_snapshot_words,
       examples({
           {"heapscan snapshot 4711 -o before.core",
            "Keep what process 4711 holds now; analyse it as often as you like."},
           {"heapscan snapshot nginx --newest -o '%h-%p-%t.core.zst'",
            "Packed, under a name that says which host, which process, when."},
           {"heapscan snapshot 4711 -o for-support.core.zst --content pointers",
            "A file to hand on: no text, no passwords, and its leaks can still be found."},
           {"gdb /usr/sbin/nginx before.core", "Threads, stacks and memory of that moment in gdb."},
       }) + "\nExit codes:\n"
            "  0  written\n"
            "  2  wrong command line\n"
            "  3  the process cannot be read, or the file cannot be written\n"
            "  4  it is no 64-bit x86 program\n",
       run_snapshot});
}

}  // namespace heapscan

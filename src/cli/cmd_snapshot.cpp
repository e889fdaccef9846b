#include <fmt/format.h>
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/pick_process.h"
#include "cli/progress.h"
#include "cli/reduce_content.h"
#include "cli/run_report.h"
#include "cli/snapshot_name.h"
#include "heapscan/acquire/live.h"
#include "heapscan/acquire/snapshot.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

namespace {

struct KeptProcess {
  std::string target;
  Pick pick = Pick::TheOnlyOne;
  bool leave_calls = false;
};

struct KeepOptions {
  KeptProcess process;
  std::string output;
  Content content = Content::Full;
  bool force = false;
  bool quiet = false;
  bool verbose = false;
  ReadingOptions reading;
};

std::string cost_of(const PauseEstimate& estimate) {
  return fmt::format("about {} to copy, {} to stop; expected pause {:.1f} ms",
                     human_bytes(estimate.bytes), counted(estimate.threads, "thread"),
                     estimate.pause_seconds * 1e3);
}

std::string name_for(const KeepOptions& options, int pid) {
  utsname names{};
  NameParts parts{pid, ::uname(&names) == 0 ? names.nodename : "", std::time(nullptr)};
  const std::string name = expanded_name(options.output, parts);
  const bool one_of_several = options.process.pick == Pick::All && !names_pid(options.output);
  return one_of_several ? with_pid(name, pid) : name;
}

double seconds_after(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// What blocks there are decides what of malloc's memory is kept.
struct KnownHeap {
  RuntimeFacts runtime;
  std::optional<HeapModel> heap;
};

KnownHeap find_blocks(const Capture& capture, const KeepOptions& options) {
  SymbolOptions where;
  where.debug_dirs.insert(where.debug_dirs.begin(), options.reading.debug_dirs.begin(),
                          options.reading.debug_dirs.end());
  where.debuginfod = options.reading.debuginfod;
  const DebugInfo debug_info = open_debug_info(capture.image, capture.files, where);
  const Symbols symbols = load_symbols(capture.image, capture.files, debug_info);
  KnownHeap known;
  known.runtime = find_runtime_facts(capture.image, symbols);
  try {
    known.heap = walk_heap(capture.image, symbols, known.runtime);
  } catch (const Error& error) {
    say(fmt::format("{}; the snapshot is written, but only addresses are kept of that memory",
                    error.what()));
  }
  return known;
}

std::string summary(const Capture& capture, const std::string& path, Content content,
                    const WrittenSnapshot& written, double seconds) {
  const CaptureFacts& facts = capture.facts;
  std::string text = fmt::format("pid {}", facts.pid);
  if (!facts.command.empty()) text += fmt::format(" ({})", escaped(facts.command));
  text +=
      fmt::format(", {}, stopped for {:.1f} ms", counted(capture.image.threads().size(), "thread"),
                  facts.pause_seconds.value_or(0) * 1e3);
  if (content != Content::Full)
    text += fmt::format("; content kept: {}",
                        content == Content::Pointers ? "addresses and small numbers" : "addresses");
  return text +
         fmt::format("; {} takes {} for {} of memory, written in {:.1f} s; see heapscan core {}",
                     escaped(path), human_bytes(written.disk_bytes),
                     human_bytes(written.memory_bytes), seconds, shell_word(path));
}

void keep(int pid, const KeepOptions& options) {
  const std::string path = name_for(options, pid);
  check_snapshot_path(path, options.force);
  std::optional<Progress> progress(std::in_place, !options.quiet);
  progress->stage("copying memory");
  CaptureOptions how;
  how.leave_calls = options.process.leave_calls;
  if (options.verbose) how.on_estimate = [](const PauseEstimate& e) { say(cost_of(e)); };
  const Capture capture = capture_process(pid, how);

  SnapshotOptions snapshot;
  snapshot.replace = options.force;
  KnownHeap known;
  if (options.content != Content::Full) {
    progress->stage("finding blocks");
    known = find_blocks(capture, options);
    snapshot.content = rules_of_content(capture.image, known.runtime,
                                        known.heap ? &*known.heap : nullptr, options.content);
  }
  progress->stage("looking for empty pages");
  snapshot.on_progress = [&](uint64_t done, uint64_t all) {
    progress->stage(
        fmt::format("writing {}, {} of {}", escaped(path), human_bytes(done), human_bytes(all)));
  };
  const auto began = std::chrono::steady_clock::now();
  const WrittenSnapshot written = write_snapshot(capture, path, snapshot);
  progress.reset();
  if (!options.quiet) say(summary(capture, path, options.content, written, seconds_after(began)));
}

int run_snapshot(const KeepOptions& options) {
  const ThreadLimit limit(options.reading.threads);
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

Content content_from(const std::string& text) {
  for (const Content content : {Content::Full, Content::Pointers, Content::None}) {
    if (text == name_of(content)) return content;
  }
  throw CLI::ValidationError(
      fmt::format("--content takes one of full, pointers, none, not \"{}\"", escaped(text)));
}

void add_process_options(CLI::App& command, KeptProcess& process) {
  command.add_option("target", process.target, "Process id, or process name")
      ->required()
      ->type_name("PID|NAME");
  command.add_flag("--leave-calls", process.leave_calls,
                   "Write to no register: system calls that the stop ends with EINTR stay ended");
  const auto add_pick = [&](const char* name, Pick pick, const char* help) {
    return command.add_flag_callback(
        name, [&process, pick] { process.pick = pick; }, help);
  };
  CLI::Option* const newest =
      add_pick("--newest", Pick::Newest, "Of several processes of that name, the one started last");
  CLI::Option* const oldest = add_pick("--oldest", Pick::Oldest,
                                       "Of several processes of that name, the one started first");
  CLI::Option* const all = add_pick("--all-matching", Pick::All,
                                    "A snapshot of each process of that name, in a file each, FILE "
                                    "with the process id in its name");
  newest->excludes(oldest)->excludes(all);
  oldest->excludes(all);
}

void add_file_options(CLI::App& command, KeepOptions& options) {
  command
      .add_option_function<std::string>(
          "-o,--output",
          [&options](const std::string& text) {
            if (text.empty())
              throw CLI::ValidationError("--output takes the name of a file, not \"\"");
            options.output = text;
          },
          "Write the snapshot to FILE, packed with zstd if that ends in .zst; %p, %h and %t in it "
          "are the process id, the host and the time in seconds")
      ->required()
      ->type_name("FILE");
  command.add_flag("--force", options.force, "Replace FILE if there is one");
  command
      .add_option_function<std::string>(
          "--content",
          [&options](const std::string& text) { options.content = content_from(text); },
          "What to keep of the memory: full; pointers: addresses and small numbers, no text; none: "
          "addresses only [full]")
      ->type_name("full|pointers|none");
  CLI::Option* const verbose = command.add_flag("-v,--verbose", options.verbose,
                                                "Say beforehand what it will cost the process");
  command.add_flag("-q,--quiet", options.quiet, "Say nothing unless something goes wrong")
      ->excludes(verbose);
}

}  // namespace

void setup_snapshot(CLI::App& program, Run& run) {
  CLI::App* const command = program.add_subcommand(
      "snapshot",
      "Keep the memory of a running process in a file\n"
      "Stops the process for a moment, copies its memory, lets it run on, and only then writes "
      "the copy to FILE: a core dump that gdb opens, with a note of what a core dump cannot say. "
      "heapscan core FILE reports on it as attach would have done, here or on another machine, now "
      "or later. The file is yours alone (mode 0600) and appears when it is whole. With --content "
      "pointers or none it holds no text: blocks can still be found, judged and grouped.");
  const auto options = std::make_shared<KeepOptions>();
  add_process_options(*command, options->process);
  add_file_options(*command, *options);
  add_reading_options(*command, options->reading);
  command->footer(
      examples({
          {"heapscan snapshot 4711 -o before.core",
           "Keep what process 4711 holds now; analyse it as often as you like."},
          {"heapscan snapshot nginx --newest -o '%h-%p-%t.core.zst'",
           "Packed, under a name that says which host, which process, when."},
          {"heapscan snapshot 4711 -o for-support.core.zst --content pointers",
           "A file to hand on: no text, no passwords, and its leaks can still be found."},
          {"gdb /usr/sbin/nginx before.core", "Threads, stacks and memory of that moment in gdb."},
      }) +
      "\nExit codes:\n"
      "  0  written\n"
      "  2  wrong command line\n"
      "  3  the process cannot be read, or the file cannot be written\n"
      "  4  it is no 64-bit x86 program\n");
  command->callback([options, &run] { run = [options] { return run_snapshot(*options); }; });
}

}  // namespace heapscan

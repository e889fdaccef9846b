#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/commands.h"
#include "cli/cost_limits.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

struct AttachOptions {
  ProcessWords process;
  CostLimits limits;
  SharedOptions shared;
};

std::string listed(const PauseEstimate& estimate) {
  constexpr double kMillisecond = 1e-3;
  std::string text = fmt::format(
      "about {} to copy, {} to stop; expected pause {:.{}f} ms", human_bytes(estimate.bytes),
      estimate.threads == 1 ? "1 thread" : fmt::format("{} threads", estimate.threads),
      estimate.pause_seconds / kMillisecond, estimate.pause_seconds < 10 * kMillisecond ? 1 : 0);
  if (estimate.available_bytes != 0) {
    text += fmt::format("; {} of memory available", human_bytes(estimate.available_bytes));
  }
  return text;
}

int report_on(int pid, const AttachOptions& options, const SharedOptions& shared) {
  const CaptureOptions capture = capture_within(
      pid, options.process, options.limits,
      options.shared.report.verbose ? listed : std::function<std::string(const PauseEstimate&)>());
  return run_report(
      shared,
      fmt::format("heapscan attach {}{}", pid, options.process.leave_calls ? " --leave-calls" : ""),
      [&] { return capture_process(pid, capture); });
}

// A report on each process, in files of their own where there is a file. What cannot be done of one
// does not keep the others waiting.
int report_on_each(const std::vector<int>& pids, const AttachOptions& options) {
  int worst = kNothingLost;
  SharedOptions shared = options.shared;
  for (const int pid : pids) {
    if (makes_file(options.shared.output)) shared.output = with_pid(options.shared.output, pid);
    try {
      worst = std::max(worst, report_on(pid, options, shared));
      shared.follows_another = shared.output == options.shared.output;
    } catch (const Error& error) {
      say(error.what());
      worst = std::max(worst, exit_code_of(error));
    }
  }
  return worst;
}

int run_attach(const AttachOptions& options) {
  const std::vector<int> pids = pick_processes(options.process.target, options.process.pick);
  if (pids.size() > 1 && options.shared.format == Format::Html &&
      !makes_file(options.shared.output)) {
    throw Error(ErrorKind::Usage,
                fmt::format("--format html makes a file for each process, and there are {}: name "
                            "one with -o, and each has its process id in it",
                            pids.size()));
  }
  if (options.process.pick == Pick::All) return report_on_each(pids, options);
  return report_on(pids.front(), options, options.shared);
}

void add_attach_words(CLI::App& command, AttachOptions& options) {
  add_process_word(command, options.process);
  add_process_options(
      command, options.process, "the stop",
      "A report on each process of that name; with -o in a file each, FILE with the process id in "
      "its name");
  add_cost_options(command, options.limits);
  add_shared_options(command, options.shared);
}

}  // namespace

void setup_attach(CLI::App& program, Run& run) {
  add_command<AttachOptions>(
      program, run,
      {"attach",
       "Find leaked memory in a running process\n"
       "Stops the process for a moment, copies its memory, lets it run on, and "
       "reports which of its malloc blocks have become unreachable. Nothing "
       "is injected, and blocks allocated before heapscan was started are "
       "found as well. You need permission to trace the process: the same "
       "user, or root.",
       add_attach_words,
       examples({
           {"heapscan attach 4711",
            "What has process 4711 leaked? Totals first, then the largest groups."},
           {"heapscan attach nginx --newest --format json -o nginx.json",
            "The nginx process started last; as JSON, in a file that only you can read."},
           {"heapscan attach 4711 --format html -o report.html",
            "A page to look at, in one file that opens in any browser."},
           {"heapscan attach 4711 --cluster 3f2a90c1",
            "Inspect one group in detail: what every word of a block means, what points to it."},
           {"heapscan attach 4711 --suppressions known.supp",
            "Leave out leaks that a rule in known.supp matches; exit code 0 if there are no "
            "others."},
           {"heapscan attach 4711 --blocks lost --min-size 256 --max-size 256",
            "Every leaked block of 256 usable bytes, with its address and what still refers to "
            "it."},
           {"heapscan attach 4711 --kinds reachable --sort count -n 20",
            "What is the live memory made of? The 20 groups with the most blocks."},
       }),
       run_attach});
}

}  // namespace heapscan

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/run_report.h"
#include "cli/shell.h"
#include "heapscan/acquire/live.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

struct AttachOptions {
  std::string target;
  bool leave_calls = false;
  SharedOptions shared;
};

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

int pid_from(const std::string& digits) {
  constexpr uint64_t kLargestPid = 0x7fffffff;
  const auto pid = parse_size(digits);
  if (!pid || *pid == 0 || *pid > kLargestPid) {
    throw Error(ErrorKind::Usage, fmt::format("{} is not a process id", digits));
  }
  return static_cast<int>(*pid);
}

int only_process_called(const std::string& name) {
  const std::vector<ProcessMatch> matches = find_processes(name);
  if (matches.empty()) {
    throw Error(ErrorKind::Acquire,
                fmt::format("no process is called \"{}\"; ps -e lists names and process ids",
                            escaped(name)));
  }
  if (matches.size() == 1) return matches.front().pid;
  std::string list;
  for (const ProcessMatch& match : matches) {
    list += fmt::format("\n  {:>8}  {}", match.pid, escaped(match.command_line));
  }
  throw Error(ErrorKind::Usage,
              fmt::format("{} processes are called \"{}\"; give the process id of one of them:{}",
                          matches.size(), escaped(name), list));
}

std::string listed(const PauseEstimate& estimate) {
  constexpr double kMillisecond = 1e-3;
  std::string text = fmt::format(
      "heapscan: about {} to copy, {} to stop; expected pause {:.{}f} ms",
      human_bytes(estimate.bytes),
      estimate.threads == 1 ? "1 thread" : fmt::format("{} threads", estimate.threads),
      estimate.pause_seconds / kMillisecond, estimate.pause_seconds < 10 * kMillisecond ? 1 : 0);
  if (estimate.available_bytes != 0) {
    text += fmt::format("; {} of memory available", human_bytes(estimate.available_bytes));
  }
  return text;
}

int run_attach(const AttachOptions& options) {
  const int pid =
      is_number(options.target) ? pid_from(options.target) : only_process_called(options.target);
  CaptureOptions capture;
  capture.leave_calls = options.leave_calls;
  if (options.shared.report.verbose) {
    capture.on_estimate = [](const PauseEstimate& estimate) {
      std::cerr << listed(estimate) << std::endl;
    };
  }
  return run_report(
      options.shared,
      fmt::format("heapscan attach {}{}", pid, options.leave_calls ? " --leave-calls" : ""),
      [&] { return capture_process(pid, capture); });
}

}  // namespace

void setup_attach(CLI::App& program, Run& run) {
  CLI::App* const command =
      program.add_subcommand("attach",
                             "Look into a running process\n"
                             "Stops it for a moment, copies its memory, lets it go on, and reports "
                             "which of its malloc blocks nothing can reach "
                             "any more. Nothing is injected, and what it allocated before counts "
                             "as well. Needs the permission to trace it: "
                             "the same user, or root.");
  const auto options = std::make_shared<AttachOptions>();
  command
      ->add_option("target", options->target, "Process id, or name of the only process so called")
      ->required()
      ->type_name("PID|NAME");
  command->add_flag("--leave-calls", options->leave_calls,
                    "Write to no register: system calls that the stop ends with EINTR stay ended");
  add_shared_options(*command, options->shared);
  command->footer(examples({
      {"heapscan attach 4711",
       "What has process 4711 lost? The verdict first, then the largest groups."},
      {"heapscan attach nginx --format json -o nginx.json",
       "The same for programs, in a file only you can read."},
      {"heapscan attach 4711 --cluster 3f2a90c1",
       "The group with that id from near: what every word of a block means, what leads to it."},
      {"heapscan attach 4711 --suppressions known.supp",
       "Without the losses that the rules in known.supp match; exit code 0 when that is all."},
      {"heapscan attach 4711 --blocks lost --min-size 256 --max-size 256",
       "Every lost block of 256 usable bytes, with its address and what still names it."},
      {"heapscan attach 4711 --kinds reachable --sort count -n 20",
       "What is the memory that is not lost made of? The 20 most frequent sizes."},
  }));
  command->callback([options, &run] { run = [options] { return run_attach(*options); }; });
}

}  // namespace heapscan

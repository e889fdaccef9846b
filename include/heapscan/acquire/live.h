// The live door: stop a process, copy what analysis needs, let it go.
//
// The target is seized (PTRACE_SEIZE + PTRACE_INTERRUPT on every thread) and only read. It is
// released on every path: by destructors, by the signals that end us, and by the kernel when we are
// killed. Time stopped is measured.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "heapscan/acquire/capture.h"

namespace heapscan {

// What a capture is about to cost, as far as can be told before the stop.
struct PauseEstimate {
  uint64_t bytes = 0;            // to be copied, and the memory that takes
  uint64_t available_bytes = 0;  // memory that there is for it; 0: unknown
  size_t threads = 0;            // to be stopped
  double pause_seconds = 0;
};

struct CaptureOptions {
  // How long stopping all threads may take before we give up and release (the copy itself is not
  // limited).
  std::chrono::milliseconds stop_limit{10000};
  // System calls that the stop ends with EINTR stay ended, as with other debuggers. Otherwise they
  // are made again.
  bool leave_calls = false;
  // Called before the stop. The estimate takes a trial copy of some MiB of the running process.
  std::function<void(const PauseEstimate&)> on_estimate;
};

// For a person to choose from.
struct ProcessMatch {
  int pid = 0;
  std::string command_line;
  uint64_t start_time = 0;  // in ticks since the system started
  double age_seconds = 0;
  uint64_t resident_bytes = 0;
};

// Processes whose comm, or whose executable's or argv[0]'s last path component, is `name`, or whose
// executable is the file `name` if that is a path; ourselves left out. By pid. Throws Error when
// /proc is not there, or not ours.
[[nodiscard]] std::vector<ProcessMatch> find_processes(const std::string& name);

// Whether /proc keeps processes of other users from our sight (hidepid).
[[nodiscard]] bool hides_processes();

// Throws Error (Acquire, or Unsupported for a process that is not x86-64) naming cause and fix: no
// such process, exited meanwhile, permission (yama, capability, other user, user namespace, not
// dumpable), already traced and by whom, kernel thread, 32-bit, ourselves.
[[nodiscard]] Capture capture_process(int pid, const CaptureOptions& options = {});

}  // namespace heapscan

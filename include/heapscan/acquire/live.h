// The live door: stop a process, copy what analysis needs, let it go.
//
// The target is seized (PTRACE_SEIZE + PTRACE_INTERRUPT on every thread) and only read. It is
// released on every path: by destructors, by the signals that end us, and by the kernel when we are
// killed. Time stopped is measured.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "heapscan/acquire/capture.h"

namespace heapscan {

struct CaptureOptions {
  // How long stopping all threads may take before we give up and release (the copy itself is not
  // limited).
  std::chrono::milliseconds stop_limit{10000};
  // System calls that the stop ends with EINTR stay ended, as with other debuggers. Otherwise they
  // are made again.
  bool leave_calls = false;
};

struct ProcessMatch {
  int pid = 0;
  std::string command_line;  // for listing
};

// Processes whose comm, or whose executable's or argv[0]'s last path component, is `name`;
// ourselves left out.
[[nodiscard]] std::vector<ProcessMatch> find_processes(const std::string& name);

// Throws Error (Acquire, or Unsupported for a process that is not x86-64) naming cause and fix: no
// such process, exited meanwhile, permission (yama, capability, other user, user namespace, not
// dumpable), already traced and by whom, kernel thread, 32-bit, ourselves.
[[nodiscard]] Capture capture_process(int pid, const CaptureOptions& options = {});

}  // namespace heapscan

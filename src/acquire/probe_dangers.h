// Kernels on which a probe at a function's return can end the process that is probed.
#pragma once

#include <string>
#include <string_view>

namespace heapscan {

struct ProbedProcess {
  std::string kernel;       // as uname -r has it
  bool has_filter = false;  // of system calls (seccomp), in any of its threads
  bool has_shadow_stack = false;
};

// A sentence without its end that says why; empty when there is no danger.
//
// From 6.11 on a probed function returns by a system call of its own (uretprobe), which filters of
// system calls did not know before 6.14 let it through whatever they say; and before 6.11 the return
// address that a probe replaces was not replaced on the shadow stack.
[[nodiscard]] std::string why_probes_would_kill(const ProbedProcess& process);

[[nodiscard]] ProbedProcess read_probed_process(int pid);

}  // namespace heapscan

// Why a process cannot be captured, in words that name the cause and the way out.
#pragma once

#include <cstdint>
#include <string>

namespace heapscan {

// Everything that decides whether one process may trace another.
struct AccessFacts {
  int pid = 0;
  std::string name;
  uint32_t our_uid = 0;
  std::string our_user;
  bool we_may_trace_anything = false;  // CAP_SYS_PTRACE is effective
  bool we_are_in_user_namespace = false;
  uint32_t their_uid = 0;
  std::string their_user;
  bool uids_differ = false;  // any of real, effective and saved
  bool dumpable = true;
  bool has_capabilities_we_lack = false;
  int yama_scope = -1;  // kernel.yama.ptrace_scope; -1: not built in
  int error = 0;        // errno of the refusal
};

// A whole sentence or two: the first cause that applies, in the order in which the kernel asks.
[[nodiscard]] std::string explain_refusal(const AccessFacts& facts);

// Checks what can be told without trying, and throws Error when `pid` cannot be captured: no such
// process, ourselves, a zombie, a kernel thread, already traced, 32-bit or of another architecture.
void check_capturable(int pid);

// Throws Error when /proc is not there, or lists another pid namespace than ours.
void require_proc();

[[noreturn]] void throw_gone(int pid);
// `tid` is the thread that could not be attached to.
[[noreturn]] void throw_refused(int pid, int tid, int error);
[[noreturn]] void throw_unstoppable(int pid, int tid, const std::string& thread_name);

}  // namespace heapscan

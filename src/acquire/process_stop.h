// Stops every thread of a process and lets them go again, exactly as they were.
//
// PTRACE_SEIZE does not disturb the thread and PTRACE_INTERRUPT stops it without a signal; a
// process that was already stopped (SIGSTOP) stays so. A thread caught while a signal is being
// delivered is held there and gets that signal when it is let go. All use of one StoppedProcess is
// on one thread, and that thread must end soon afterwards: the kernel then frees what could not be
// freed by hand (a thread that never came to a stop).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "heapscan/base/note.h"
#include "heapscan/image/image.h"

namespace heapscan {

// A thread that we trace; undone by its destructor.
class SeizedThread {
 public:
  SeizedThread(int tid, bool leave_call, bool stopped = false)
      : tid_(tid), stopped_(stopped), call_settled_(leave_call) {}
  SeizedThread(SeizedThread&& other) noexcept;
  SeizedThread& operator=(SeizedThread&& other) noexcept;
  SeizedThread(const SeizedThread&) = delete;
  SeizedThread& operator=(const SeizedThread&) = delete;
  ~SeizedThread() { release(); }

  [[nodiscard]] int tid() const { return tid_; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // The signal it was about to receive; 0 when none.
  [[nodiscard]] int held_signal() const { return signal_; }

  void interrupt();
  // What release() does to the call that the stop ended (make_call_again). Done early, it is
  // done even if we are killed before that.
  void continue_call();
  enum class State { Running, Stopped, Gone };
  // Looks whether it has come to a stop. The end of a child of this very process (`leave_exit`) is
  // left for whoever waits for it here.
  State poll(bool leave_exit);
  void release();
  // Leaves it as it is, to whoever stopped it.
  void forget() { tid_ = 0; }

 private:
  int tid_ = 0;
  bool stopped_ = false;
  bool call_settled_ = false;
  int signal_ = 0;
};

struct TaskName {
  std::string name;
  bool kernel_worker = false;
};

struct StopOptions {
  std::chrono::milliseconds limit{10000};  // for stopping all threads; then we give up
  bool leave_calls = false;                // calls that the stop ended stay ended
};

class StoppedProcess {
 public:
  // Throws Error when it cannot be stopped; nothing stays stopped then. `names` are the threads
  // known beforehand.
  StoppedProcess(int pid, StopOptions options, std::map<int, TaskName> names);
  // Of one whose threads the calling thread traces already, and has stopped where no call can be
  // going on. They are let go as others are, or stay traced and stopped.
  enum class Afterwards { LetGo, StayStopped };
  StoppedProcess(int pid, const std::vector<int>& stopped, Afterwards afterwards);
  ~StoppedProcess() { release(); }
  StoppedProcess(const StoppedProcess&) = delete;
  StoppedProcess& operator=(const StoppedProcess&) = delete;

  // Those that did not stop because they are dead already are among them.
  [[nodiscard]] const std::vector<SeizedThread>& threads() const { return threads_; }
  void continue_calls();
  [[nodiscard]] const std::set<int>& kernel_workers() const { return kernel_workers_; }
  [[nodiscard]] std::string name_of_thread(int tid) const;
  void release();

  // CLOCK_MONOTONIC when the first thread was interrupted.
  [[nodiscard]] std::chrono::steady_clock::time_point stopped_since() const {
    return stopped_since_;
  }

 private:
  void stop_all();
  bool seize_new_threads();
  bool seize(int tid);
  void wait_until_stopped();
  bool poll_all(bool look_for_dead);
  [[noreturn]] void give_up() const;

  int pid_;
  bool ours_;
  bool leave_calls_;
  Afterwards afterwards_ = Afterwards::LetGo;
  std::chrono::steady_clock::time_point deadline_;
  std::chrono::steady_clock::time_point stopped_since_;
  std::map<int, TaskName> names_;
  std::vector<SeizedThread> threads_;
  std::set<int> known_;  // tids that need no further attention
  std::set<int> kernel_workers_;
};

// ---- what a stopped thread holds ----------------------------------------------------------------

// What ptrace tells about a stopped thread: its registers, and the values of signals that wait for
// it. Formats: NT_PRSTATUS (struct user_regs_struct), NT_X86_XSTATE (the XSAVE area), siginfo_t.

// Without registers, and a note, when the kernel has none to give. Throws Error (Unsupported) for
// 32-bit code.
[[nodiscard]] Thread read_registers(int tid, std::string name, Notes& notes);

// Values of signals that wait to be delivered: to one thread, or (`shared`) to the process as a
// whole.
[[nodiscard]] std::vector<KernelReference> queued_signals(int tid, bool shared, Notes& notes);

// What the thread would be told of the signal which it was stopped in front of; empty when there is
// none.
[[nodiscard]] std::vector<std::byte> held_signal_info(int tid);

// The value that comes with it.
[[nodiscard]] std::optional<KernelReference> held_signal(int tid);

// ---- the call a stop has ended ------------------------------------------------------------------

// A system call that our stop ended goes on when the thread is let go.
//
// A stop wakes a thread that waits in the kernel. Most calls are then made again by the kernel
// itself and nobody notices. Two kinds are not: calls that end with EINTR even when no handler has
// run (epoll_wait, receiving and sending with a timeout, semop, ...: signal(7), "Interruption of
// system calls and library functions by stop signals"), and a sleep, which goes on as a call of
// another name, restart_syscall: a seccomp filter that does not know that one kills the program.
//
// A thread that we stopped stands in the middle of the kernel's delivery of signals: the result of
// its call is in rax, and the kernel looks at it after we have let go. -ERESTARTNOHAND there
// means: make the call again, unless a handler is run first; then it has ended with EINTR. So that
// one word is all that is written, and it is the kernel that decides, when it lets the thread go
// and knows every signal that has come meanwhile. A thread that we cannot let go ourselves because
// we were killed is let go by the kernel, in the same way.

// What a stopped thread's registers say about the call it was in.
struct InterruptedCall {
  int64_t number = -1;     // orig_rax; negative: it was in none
  int64_t result = 0;      // rax
  uint64_t operation = 0;  // the second argument: futex's operation
};

enum class Continuation {
  Leave,  // it ended by itself, the kernel makes it again, or it may have done something already
  MakeAgain,            // nothing would be made again, or the same as the kernel would
  MakeAgainIfFiltered,  // the kernel resumes it better, unless a seccomp filter stands in the way
};
[[nodiscard]] Continuation continuation_of(const InterruptedCall& call);

// Sees to it that the stopped thread makes its call again when it is let go. Does nothing for a
// call made another way than by the instruction `syscall`. May be called again.
void make_call_again(int tid);

}  // namespace heapscan

// Stops every thread of a process and lets them go again, exactly as they were.
//
// PTRACE_SEIZE does not disturb the thread and PTRACE_INTERRUPT stops it without a signal; a
// process that was already stopped (SIGSTOP) stays so. A thread caught while a signal is being
// delivered is held there and gets that signal when it is let go. All use of one StoppedProcess is
// on one thread, and that thread must end soon afterwards: the kernel then frees what could not be
// freed by hand (a thread that never came to a stop).
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace heapscan {

// A thread that we trace; undone by its destructor.
class SeizedThread {
 public:
  SeizedThread(int tid, bool leave_call) : tid_(tid), call_settled_(leave_call) {}
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
  // What release() does to the call that the stop ended (interrupted_call.h). Done early, it is
  // done even if we are killed before that.
  void continue_call();
  enum class State { Running, Stopped, Gone };
  // Looks whether it has come to a stop. The end of a child of this very process (`leave_exit`) is
  // left for whoever waits for it here.
  State poll(bool leave_exit);
  void release();

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
  std::chrono::steady_clock::time_point deadline_;
  std::chrono::steady_clock::time_point stopped_since_;
  std::map<int, TaskName> names_;
  std::vector<SeizedThread> threads_;
  std::set<int> known_;  // tids that need no further attention
  std::set<int> kernel_workers_;
};

}  // namespace heapscan

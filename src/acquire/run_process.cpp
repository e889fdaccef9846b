// The program is seized before its first instruction, with nothing asked for but to be told of its
// end: every thread stops once more when it has begun to end (PTRACE_EVENT_EXIT), while memory and
// registers are as they were. Nothing else stops it but signals and new threads, so it runs at full
// speed. Without PTRACE_O_EXITKILL the kernel lets all go on when we are gone.
//
// One thread may end by itself (system call exit) while others live on; the process ends with the
// last of them. Otherwise all end together: one has called exit_group or takes a fatal signal, and the
// kernel kills the others, each of which stops as well. When all stand still, the process is shown.
//
// Of a process that becomes another program (exec) the kernel tells when its memory is gone. To see it
// before, every thread is stopped at every system call, which is why it has to be asked for. Where one is about
// to call execve, the others are stopped too, and the process is captured; the capture is shown when
// the call has succeeded, and dropped when it has failed.
#include "heapscan/acquire/run_process.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <thread>

#include "acquire/live_parts.h"
#include "acquire/proc_errors.h"
#include "acquire/proc_files.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

using std::chrono::steady_clock;

constexpr auto kMostPatience = std::chrono::seconds(10);  // for threads that do not come to an end
constexpr auto kNap = std::chrono::milliseconds(1);
constexpr int kShiftOfEvent = 16;
// How /proc/PID/syscall begins for execve and execveat.
constexpr std::string_view kExec = "59 ";
constexpr std::string_view kExecAt = "322 ";
constexpr size_t kLongestCall = 256;

// ---- starting it --------------------------------------------------------------------------------

struct Ends {
  Fd reading;
  Fd writing;
};

Ends pipe_of_words() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw Error(ErrorKind::Acquire, "cannot make a pipe: " + describe_errno(errno));
  return {Fd(ends[0]), Fd(ends[1])};
}

// In the child: waits until it is traced, and becomes the program. Only calls that may be made
// between fork and exec.
[[noreturn]] void become(char* const* words, const Ends& go, int problem) {
  ::close(go.writing.get());  // so that reading ends when heapscan does
  char byte = 0;
  while (::read(go.reading.get(), &byte, 1) < 0 && errno == EINTR) {
  }
  if (byte == 0) ::_exit(127);  // nobody traces us: heapscan is gone, or may not
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGBUS}) ::sigaction(signal, &normal, nullptr);
  ::execvp(words[0], words);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(problem, &error, sizeof error);
  ::_exit(127);
}

// ---- signals that are sent to us ----------------------------------------------------------------

std::atomic<pid_t> program{0};

// What a terminal sends goes to the program by itself; what somebody sends to us is passed on. When
// the program is gone it is meant for us.
void pass_on(int signal, siginfo_t* info, void* /*context*/) {
  const int saved = errno;
  if (program == 0) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  } else if (info->si_code <= 0) {
    ::kill(program, signal);
  }
  errno = saved;
}

class PassedSignals {
 public:
  PassedSignals() {
    struct sigaction action {};
    action.sa_sigaction = pass_on;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &former_[i]);
  }
  PassedSignals(const PassedSignals&) = delete;
  PassedSignals& operator=(const PassedSignals&) = delete;
  ~PassedSignals() {
    program = 0;
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &former_[i], nullptr);
  }

 private:
  static constexpr std::array<int, 6> kSignals = {SIGINT, SIGQUIT, SIGTERM,
                                                  SIGHUP, SIGUSR1, SIGUSR2};
  std::array<struct sigaction, 6> former_{};
};

// ---- watching it --------------------------------------------------------------------------------

struct Watched {
  bool is_program = false;  // it has become the program, or is a copy of one
  bool is_copy = false;
  bool is_ending = false;     // all of its threads are
  std::set<int> ended_alone;  // threads that went by themselves
  std::set<int> held;         // threads stopped at their end
  steady_clock::time_point ending_since;

  int at_exec = 0;            // a thread that is about to call execve, or none
  std::map<int, int> parked;  // others, stopped meanwhile; signals that they are to get
  std::function<Capture()> before_exec;
};

// Whether there is what the thread is about to execute: shells and execvp try one folder after the other.
bool is_there_to_execute(int pid, int tid, const user_regs_struct& registers) {
  if (registers.orig_rax != SYS_execve) return true;
  const Fd memory = Fd::open_read(process_folder(tid) + "/mem");
  std::array<char, 4096> path{};
  if (::pread(memory.get(), path.data(), path.size() - 1, static_cast<off_t>(registers.rdi)) <= 0)
    return true;  // at the end of what is mapped; it is to be seen
  const std::string folder = process_folder(pid) + (path[0] == '/' ? "/root" : "/cwd/");
  struct stat status {};
  const std::string file = folder + path.data();
  return ::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(file.c_str(), X_OK) == 0;
}

class Run {
 public:
  Run(int first, const RunOptions& options, const std::function<void(const EndingProcess&)>& on_end)
      : first_(first), follow_(options.follow), at_exec_(options.at_exec), on_end_(on_end) {
    processes_[first];
    tasks_[first] = first;
  }

  void seize() const {
    long wanted = PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE;
    if (at_exec_) wanted |= PTRACE_O_TRACESYSGOOD;
    if (follow_) wanted |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
    if (::ptrace(PTRACE_SEIZE, first_, 0, wanted) != 0) throw_refused(first_, first_, errno);
  }

  // Until the first process has ended; its status.
  int wait() {
    while (!status_) {
      int status = 0;
      const bool is_impatient = somebody_is_awaited();
      const pid_t tid = ::waitpid(-1, &status, __WALL | (is_impatient ? WNOHANG : 0));
      if (tid > 0) {
        take(tid, status);
      } else if (tid < 0 && errno != EINTR) {
        throw Error(ErrorKind::Acquire, "the program was lost sight of: " + describe_errno(errno));
      } else if (tid == 0) {
        std::this_thread::sleep_for(kNap);
      }
      capture_those_at_exec();
      show_those_that_have_ended();
    }
    return *status_;
  }

 private:
  void take(int tid, int status) {
    if (WIFSTOPPED(status)) return take_stop(tid, WSTOPSIG(status), status >> kShiftOfEvent);
    if (tid == first_) status_ = status;
    const auto known = tasks_.find(tid);
    if (known == tasks_.end()) return;
    const int pid = known->second;
    tasks_.erase(known);
    if (const auto process = processes_.find(pid); process != processes_.end()) {
      process->second.held.erase(tid);
      process->second.parked.erase(tid);
      if (tid == pid && !process->second.is_ending) processes_.erase(process);
    }
  }

  void take_stop(int tid, int signal, int event) {
    constexpr int kAtCall = SIGTRAP | 0x80;
    if (event == PTRACE_EVENT_STOP && tasks_.count(tid) == 0 && !admit(tid)) return;
    const bool is_signal = event == 0 && signal != kAtCall;
    if (event != PTRACE_EVENT_EXIT && event != PTRACE_EVENT_EXEC &&
        park(tid, is_signal ? signal : 0))
      return;
    switch (event) {
      case 0:
        return is_signal ? go_on(tid, signal) : take_call(tid);
      case PTRACE_EVENT_EXIT:
        return take_end(tid);
      case PTRACE_EVENT_EXEC:
        return take_exec(tid);
      case PTRACE_EVENT_STOP:
        // A process that was told to stop stays so until it is told to go on.
        if (signal != SIGTRAP) {
          ::ptrace(PTRACE_LISTEN, tid, 0, 0);
          return;
        }
        return go_on(tid);
      default:
        return go_on(tid);
    }
  }

  void go_on(int tid, int signal = 0) const {
    ::ptrace(at_exec_ ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, signal);
  }

  // ---- becoming another program -----------------------------------------------------------------

  // A thread that enters or leaves a system call.
  void take_call(int tid) {
    errno = 0;
    const long number =
        ::ptrace(PTRACE_PEEKUSER, tid, offsetof(user_regs_struct, orig_rax), nullptr);
    const auto known = tasks_.find(tid);
    if ((number != SYS_execve && number != SYS_execveat) || known == tasks_.end())
      return go_on(tid);
    const int pid = known->second;
    const auto found = processes_.find(pid);
    user_regs_struct registers{};
    if (found == processes_.end() || ::ptrace(PTRACE_GETREGS, tid, 0, &registers) != 0)
      return go_on(tid);
    Watched& process = found->second;
    process.before_exec = nullptr;
    const bool is_entry = static_cast<int64_t>(registers.rax) == -ENOSYS;
    if (!is_entry || !process.is_program || process.is_copy || process.is_ending ||
        borrows_memory(pid) || !is_there_to_execute(pid, tid, registers)) {
      return go_on(tid);
    }
    process.at_exec = tid;
    process.ending_since = steady_clock::now();
    for (const int other : list_threads(pid)) {
      if (other != tid) ::ptrace(PTRACE_INTERRUPT, other, 0, 0);
    }
  }

  // Whether the thread has to wait until its process was captured.
  bool park(int tid, int signal) {
    const auto known = tasks_.find(tid);
    const auto found = known == tasks_.end() ? processes_.end() : processes_.find(known->second);
    if (found == processes_.end() || found->second.at_exec == 0) return false;
    found->second.parked[tid] = signal;
    return true;
  }

  void capture_those_at_exec() {
    for (auto& [pid, process] : processes_) {
      if (process.at_exec == 0) continue;
      const bool is_overdue = steady_clock::now() - process.ending_since > kMostPatience;
      if (is_overdue || all_are_parked(pid, process)) capture_at_exec(pid, process);
    }
  }

  static bool all_are_parked(int pid, const Watched& process) {
    for (const int tid : list_threads(pid)) {
      if (tid == process.at_exec || process.parked.count(tid) != 0) continue;
      const auto stat = read_task_stat(pid, tid);
      if (stat && !stat->is_dead() && !stat->is_kernel_worker()) return false;
    }
    return true;
  }

  void capture_at_exec(int pid, Watched& process) const {
    std::vector<int> tids{process.at_exec};
    for (const auto& [tid, signal] : process.parked) tids.push_back(tid);
    try {
      const auto capture = std::make_shared<Capture>(capture_stopped_process(pid, tids));
      process.before_exec = [capture] { return std::move(*capture); };
    } catch (const Error& error) {
      process.before_exec = [error]() -> Capture { throw error; };
    }
    go_on(process.at_exec);
    unpark(process);
  }

  void unpark(Watched& process) const {
    for (const auto& [tid, signal] : process.parked) go_on(tid, signal);
    process.at_exec = 0;
    process.parked.clear();
  }

  void take_exec(int tid) {
    tasks_[tid] = tid;
    const std::function<Capture()> before = std::move(processes_[tid].before_exec);
    processes_[tid] = Watched{};
    processes_[tid].is_program = true;
    go_on(tid);
    if (before) on_end_({tid, tid == first_, true, before});
  }

  // ---- ends -------------------------------------------------------------------------------------

  // A new thread or process. False when it is none of ours: it is let go.
  bool admit(int tid) {
    const auto status = read_status(tid);
    const int pid = status ? status->tgid : tid;
    if (pid == tid && !follow_) {
      ::ptrace(PTRACE_DETACH, tid, 0, 0);
      return false;
    }
    tasks_[tid] = pid;
    if (pid == tid) {
      processes_[pid].is_program = true;
      processes_[pid].is_copy = true;
    }
    return true;
  }

  // Whether the thread ends by itself and leaves others behind.
  bool ends_alone(int tid, const Watched& process, int pid) const {
    user_regs_struct registers{};
    if (::ptrace(PTRACE_GETREGS, tid, 0, &registers) != 0) return true;
    if (registers.orig_rax != SYS_exit) return false;
    for (const int other : list_threads(pid)) {
      if (other == tid || process.ended_alone.count(other) != 0) continue;
      const auto stat = read_task_stat(pid, other);
      if (stat && !stat->is_dead() && !stat->is_kernel_worker()) return true;
    }
    return false;
  }

  void take_end(int tid) {
    const auto known = tasks_.find(tid);
    const int pid = known == tasks_.end() ? tid : known->second;
    const auto found = processes_.find(pid);
    if (found == processes_.end() || !found->second.is_program || borrows_memory(pid))
      return go_on(tid);
    Watched& process = found->second;
    if (process.at_exec == tid) unpark(process);  // killed at that call
    if (!process.is_ending && ends_alone(tid, process, pid)) {
      process.ended_alone.insert(tid);
      return go_on(tid);
    }
    if (!process.is_ending) process.ending_since = steady_clock::now();
    process.is_ending = true;
    process.held.insert(tid);
  }

  // Whether its memory is still that of the process that started it (vfork).
  static bool borrows_memory(int pid) {
    const auto status = read_status(pid);
    return status && ::syscall(SYS_kcmp, pid, status->parent, KCMP_VM, 0, 0) == 0;
  }

  [[nodiscard]] bool somebody_is_awaited() const {
    for (const auto& [pid, process] : processes_) {
      if (process.is_ending || process.at_exec != 0) return true;
    }
    return false;
  }

  // Whether a thread becomes another program and the others are killed for that: the process does not
  // end then.
  static bool becomes_another_program(int pid, const Watched& process) {
    for (const int tid : list_threads(pid)) {
      if (process.held.count(tid) != 0) continue;
      const std::string call = read_text_file(
          process_folder(pid) + "/task/" + std::to_string(tid) + "/syscall", kLongestCall);
      if (call.starts_with(kExec) || call.starts_with(kExecAt)) return true;
    }
    return false;
  }

  void let_go(Watched& process) const {
    for (const int tid : process.held) go_on(tid);
    process.held.clear();
    process.is_ending = false;
  }

  [[nodiscard]] static bool all_stand_still(int pid, const Watched& process) {
    for (const int tid : list_threads(pid)) {
      if (process.held.count(tid) != 0) continue;
      const auto stat = read_task_stat(pid, tid);
      if (stat && !stat->is_dead() && !stat->is_kernel_worker()) return false;
    }
    return true;
  }

  void show_those_that_have_ended() {
    std::vector<int> ready;
    for (auto& [pid, process] : processes_) {
      if (!process.is_ending) continue;
      if (all_stand_still(pid, process) ||
          steady_clock::now() - process.ending_since > kMostPatience) {
        ready.push_back(pid);
      } else if (becomes_another_program(pid, process)) {
        let_go(process);
      }
    }
    for (const int pid : ready) show(pid);
  }

  void show(int pid) {
    const std::set<int> held = processes_.at(pid).held;
    processes_.erase(pid);
    const std::vector<int> tids(held.begin(), held.end());
    bool is_captured = false;
    if (!tids.empty()) {
      on_end_({pid, pid == first_, false, [&] {
                 is_captured = true;
                 Capture capture = capture_ending_process(pid, tids);
                 if (pid == first_) program = 0;
                 return capture;
               }});
    }
    if (is_captured) return;
    for (const int tid : tids) go_on(tid);
  }

  const int first_;
  const bool follow_;
  const bool at_exec_;
  const std::function<void(const EndingProcess&)>& on_end_;
  std::map<int, int> tasks_;  // process of each thread
  std::map<int, Watched> processes_;
  std::optional<int> status_;
};

}  // namespace

int run_process(const RunOptions& options,
                const std::function<void(const EndingProcess&)>& on_end) {
  require_proc();
  std::vector<char*> words;
  for (const std::string& word : options.command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  Ends go = pipe_of_words();
  Ends problem = pipe_of_words();
  const pid_t pid = ::fork();
  if (pid < 0) throw Error(ErrorKind::Acquire, "cannot fork: " + describe_errno(errno));
  if (pid == 0) become(words.data(), go, problem.writing.get());
  problem.writing = Fd();
  const PassedSignals passed;
  program = pid;
  Run run(pid, options, on_end);
  try {
    run.seize();
  } catch (...) {
    go.writing = Fd();  // it gives up
    ::waitpid(pid, nullptr, 0);
    throw;
  }
  [[maybe_unused]] const ssize_t written = ::write(go.writing.get(), "g", 1);
  const int status = run.wait();
  int error = 0;
  if (::read(problem.reading.get(), &error, sizeof error) == sizeof error) {
    throw Error(ErrorKind::Acquire, "cannot run " + escaped(options.command[0]) + ": " +
                                        describe_errno(error) +
                                        "; name a program that can be executed");
  }
  return status;
}

}  // namespace heapscan

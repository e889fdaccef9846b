#include "acquire/process_stop.h"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>

#include "acquire/proc_errors.h"
#include "acquire/proc_files.h"
#include "acquire/termination.h"
#include "heapscan/base/error.h"

namespace heapscan {

namespace {

using std::chrono::steady_clock;
constexpr auto kShortestNap = std::chrono::microseconds(20);
constexpr auto kLongestNap = std::chrono::microseconds(1000);
// A stop for PTRACE_EVENT_STOP: interrupted (SIGTRAP), or part of a group stop (the signal that
// caused it). Nothing is owed to the thread then.
constexpr int kEventShift = 8;
constexpr int kSignalMask = 0xff;

}  // namespace

SeizedThread::SeizedThread(SeizedThread&& other) noexcept
    : tid_(std::exchange(other.tid_, 0)),
      stopped_(other.stopped_),
      call_settled_(other.call_settled_),
      signal_(other.signal_) {}

SeizedThread& SeizedThread::operator=(SeizedThread&& other) noexcept {
  if (this != &other) {
    release();
    tid_ = std::exchange(other.tid_, 0);
    stopped_ = other.stopped_;
    call_settled_ = other.call_settled_;
    signal_ = other.signal_;
  }
  return *this;
}

void SeizedThread::interrupt() { ::ptrace(PTRACE_INTERRUPT, tid_, 0, 0); }

// A stop is only looked at, not taken (WNOWAIT): a signal that the thread was stopped in front of
// stays with it then, and is delivered even if we are killed before we can hand it back.
SeizedThread::State SeizedThread::poll(bool leave_exit) {
  if (stopped_) return State::Stopped;
  siginfo_t info{};
  const auto id = static_cast<id_t>(tid_);
  const int result = ::waitid(P_PID, id, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);
  if (result == 0 && info.si_pid == 0) return State::Running;
  if (result == 0 && (info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED)) {
    stopped_ = true;
    if ((info.si_status >> kEventShift) == 0) {
      signal_ = info.si_status;
    } else if ((info.si_status & kSignalMask) != SIGTRAP) {
      call_settled_ = true;  // what ended its call was the signal that stopped the process
    }
    return State::Stopped;
  }
  if (result != 0 && errno != ECHILD) return State::Running;
  if (!leave_exit) ::waitid(P_PID, id, &info, WEXITED | WNOHANG | __WALL);
  tid_ = 0;
  return State::Gone;
}

void SeizedThread::continue_call() {
  if (!stopped_ || call_settled_) return;
  make_call_again(tid_);
  call_settled_ = true;
}

void SeizedThread::release() {
  if (tid_ == 0) return;
  if (!stopped_) poll(true);
  continue_call();
  if (stopped_) ::ptrace(PTRACE_DETACH, tid_, 0, signal_);
  tid_ = 0;
}

StoppedProcess::StoppedProcess(int pid, StopOptions options, std::map<int, TaskName> names)
    : pid_(pid),
      leave_calls_(options.leave_calls),
      deadline_(steady_clock::now() + options.limit),
      stopped_since_(steady_clock::now()),
      names_(std::move(names)) {
  const auto status = read_status(pid);
  if (!status) throw_gone(pid);
  ours_ = status->parent == ::getpid();
  try {
    stop_all();
  } catch (...) {
    release();
    throw;
  }
}

StoppedProcess::StoppedProcess(int pid, const std::vector<int>& stopped, Afterwards afterwards)
    : pid_(pid),
      ours_(true),
      leave_calls_(true),
      afterwards_(afterwards),
      deadline_(steady_clock::now()),
      stopped_since_(steady_clock::now()) {
  for (const int tid : stopped) {
    threads_.emplace_back(tid, true, true);
    const auto stat = read_task_stat(pid, tid);
    names_[tid] = {stat ? stat->name : "", false};
  }
}

// A thread that has not stopped yet may start another one: only a look that finds nobody new ends
// this. The look is taken twice, because a folder listing may pass over an entry when another one
// vanishes.
void StoppedProcess::stop_all() {
  for (int quiet_looks = 0; quiet_looks < 2; ++quiet_looks) {
    if (seize_new_threads()) quiet_looks = -1;
    wait_until_stopped();
  }
  if (threads_.empty()) throw_gone(pid_);
  std::sort(threads_.begin(), threads_.end(),
            [](const SeizedThread& a, const SeizedThread& b) { return a.tid() < b.tid(); });
}

void StoppedProcess::continue_calls() {
  for (SeizedThread& thread : threads_) thread.continue_call();
}

// The main thread is traced last and let go first. While it is traced, a signal that the program
// ignores is not dropped when it is sent but wakes a thread, and ends its call: it must be one of
// those whose call we continue.
void StoppedProcess::release() {
  if (afterwards_ == Afterwards::StayStopped) {
    for (SeizedThread& thread : threads_) thread.forget();
  }
  for (SeizedThread& thread : threads_) {
    if (thread.tid() == pid_) thread.release();
  }
  threads_.clear();
}

bool StoppedProcess::seize_new_threads() {
  const size_t before = threads_.size();
  std::vector<int> tids = list_threads(pid_);
  const auto main_thread = std::find(tids.begin(), tids.end(), pid_);
  if (main_thread != tids.end()) std::rotate(main_thread, main_thread + 1, tids.end());
  for (const int tid : tids) {
    if (known_.insert(tid).second && !seize(tid)) known_.erase(tid);
  }
  if (before == 0) stopped_since_ = steady_clock::now();
  for (size_t i = before; i < threads_.size(); ++i) threads_[i].interrupt();
  return threads_.size() != before;
}

// False when the thread went away meanwhile: its number may come back as another thread's.
bool StoppedProcess::seize(int tid) {
  auto known = names_.find(tid);
  if (known == names_.end()) {
    const auto stat = read_task_stat(pid_, tid);
    if (!stat) return false;
    known = names_.emplace(tid, TaskName{stat->name, stat->is_kernel_worker()}).first;
  }
  if (known->second.kernel_worker) {
    kernel_workers_.insert(tid);
    return true;
  }
  if (::ptrace(PTRACE_SEIZE, tid, 0, 0) == 0) {
    threads_.emplace_back(tid, leave_calls_);
    return true;
  }
  const int error = errno;
  if (error == ESRCH) return false;
  const auto stat = read_task_stat(pid_, tid);
  if (!stat) return false;
  // A dead main thread stays listed; the number of another one may come back as a new thread's.
  if (stat->is_dead()) return tid == pid_;
  throw_refused(pid_, tid, error);
}

void StoppedProcess::wait_until_stopped() {
  std::chrono::microseconds nap = kShortestNap;
  for (;;) {
    if (TerminationWatch::requested()) throw Interrupted();
    if (poll_all(nap == kLongestNap)) return;
    if (steady_clock::now() > deadline_) give_up();
    std::this_thread::sleep_for(nap);
    nap = std::min(nap * 2, kLongestNap);
  }
}

// True when every thread we hold has stopped. Those that ended are dropped.
bool StoppedProcess::poll_all(bool look_for_dead) {
  bool all = true;
  std::erase_if(threads_, [&](SeizedThread& thread) {
    const int tid = thread.tid();
    const auto state = thread.poll(ours_ && tid == pid_);
    if (state == SeizedThread::State::Gone) {
      known_.erase(tid);
      names_.erase(tid);
      return true;
    }
    if (state == SeizedThread::State::Running) {
      // A main thread that has ended while others live on reports nothing, not even its end.
      const auto stat = look_for_dead ? read_task_stat(pid_, tid) : std::nullopt;
      if (!stat || !stat->is_dead()) all = false;
    }
    return false;
  });
  return all;
}

void StoppedProcess::give_up() const {
  for (const SeizedThread& thread : threads_) {
    if (!thread.stopped()) throw_unstoppable(pid_, thread.tid(), name_of_thread(thread.tid()));
  }
  throw_gone(pid_);
}

std::string StoppedProcess::name_of_thread(int tid) const {
  const auto known = names_.find(tid);
  return known == names_.end() ? std::string() : known->second.name;
}

}  // namespace heapscan

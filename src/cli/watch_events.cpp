#include "cli/watch_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

namespace heapscan {

namespace {

constexpr std::array<int, 3> kEnding = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> ending_signal{0};
std::atomic<bool> report_wanted{false};
std::atomic<int> arrived_fd{-1};
static_assert(std::atomic<int>::is_always_lock_free, "used by a signal handler");

void note_signal(int signal) {
  const int error = errno;
  if (signal == SIGUSR1) {
    report_wanted = true;
  } else {
    ending_signal = signal;
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(arrived_fd, &one, sizeof one);
  errno = error;
}

void handle(int signal, int flags) {
  struct sigaction former {};
  ::sigaction(signal, nullptr, &former);
  if (former.sa_handler == SIG_IGN && signal != SIGUSR1) return;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

void restore(int signal) {
  struct sigaction current {};
  ::sigaction(signal, nullptr, &current);
  if (current.sa_handler == note_signal) ::signal(signal, SIG_DFL);
}

void mask_report_signal(int how) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  ::pthread_sigmask(how, &signals, nullptr);
}

}  // namespace

void hold_report_signal() { mask_report_signal(SIG_BLOCK); }

WatchEvents::WatchEvents(Fd end_of_process)
    : end_of_process_(std::move(end_of_process)),
      arrived_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  ending_signal = 0;
  report_wanted = false;
  arrived_fd = arrived_.get();
  for (const int signal : kEnding) handle(signal, SA_RESTART | static_cast<int>(SA_RESETHAND));
  handle(SIGUSR1, SA_RESTART);
  mask_report_signal(SIG_UNBLOCK);
}

WatchEvents::~WatchEvents() {
  for (const int signal : kEnding) restore(signal);
  restore(SIGUSR1);
  arrived_fd = -1;
}

void WatchEvents::wait_until(std::chrono::steady_clock::time_point due) {
  const auto left =
      std::max(due - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(left - seconds);
  const timespec timeout{seconds.count(), rest.count()};
  std::array<pollfd, 2> waiting{{{arrived_.get(), POLLIN, 0}, {end_of_process_.get(), POLLIN, 0}}};
  if (::ppoll(waiting.data(), waiting.size(), &timeout, nullptr) <= 0) return;
  uint64_t count = 0;
  if (waiting[0].revents != 0) [[maybe_unused]]
    const ssize_t got = ::read(arrived_.get(), &count, sizeof count);
  if (waiting[1].revents != 0) process_ended_ = true;
}

int WatchEvents::end_signal() { return ending_signal; }

bool WatchEvents::take_report_wanted() { return report_wanted.exchange(false); }

}  // namespace heapscan

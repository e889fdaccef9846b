#include "acquire/termination.h"

#include <atomic>
#include <string>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

std::atomic<int> arrived{0};
static_assert(std::atomic<int>::is_always_lock_free, "stored to by a signal handler");

void remember(int signal) {
  int none = 0;
  arrived.compare_exchange_strong(none, signal);
}

}  // namespace

TerminationWatch::TerminationWatch() {
  arrived = 0;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = remember;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    ::sigaction(kSignals[i], nullptr, &former_[i]);
    if (former_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
  }
}

TerminationWatch::~TerminationWatch() { restore(); }

bool TerminationWatch::requested() { return arrived.load(std::memory_order_relaxed) != 0; }

void TerminationWatch::finish() {
  restore();
  const int signal = arrived.exchange(0);
  if (signal == 0) return;
  ::raise(signal);
  throw Error(ErrorKind::Acquire, "interrupted by signal " + std::to_string(signal) +
                                      " while copying; the process was released and runs on");
}

void TerminationWatch::restore() {
  if (!installed_) return;
  installed_ = false;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (former_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &former_[i], nullptr);
  }
}

}  // namespace heapscan

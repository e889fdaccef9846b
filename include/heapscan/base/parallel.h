// Parallel loops over indices. f(i) writes only to slot i, so the answer is the same for every
// thread count.
#pragma once

#include <signal.h>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_scheduler_observer.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

namespace heapscan {

// Called on a worker: signals are for the thread that called the loop, which is the one that waits
// for them. Faults are the business of the thread that makes them.
inline void leave_signals_to_caller() {
  sigset_t signals;
  sigfillset(&signals);
  for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    sigdelset(&signals, fault);
  }
  ::pthread_sigmask(SIG_SETMASK, &signals, nullptr);
}

class WorkersWithoutSignals : public tbb::task_scheduler_observer {
 public:
  // Of the loops of this thread. For as long as the process lives, as workers do.
  static void begin() { [[maybe_unused]] static auto* const observer = new WorkersWithoutSignals; }
  void on_scheduler_entry(bool is_worker) override {
    if (is_worker) leave_signals_to_caller();
  }

 private:
  WorkersWithoutSignals() { observe(true); }
};

// While alive, limits the threads all parallel loops may use; 0 means one per processor.
class ThreadLimit {
 public:
  explicit ThreadLimit(unsigned threads)
      : control_(tbb::global_control::max_allowed_parallelism, resolve(threads)) {
    WorkersWithoutSignals::begin();
  }
  [[nodiscard]] static size_t current() {
    return tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  }

 private:
  static size_t resolve(unsigned threads) {
    return threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  }
  tbb::global_control control_;
};

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer cannot see how oneTBB, which is not built with it, hands work from thread to
// thread, and takes all of it for races. Threads of our own it can judge.
template <typename F>
void parallel_for(size_t count, F&& f) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next.fetch_add(1, std::memory_order_relaxed); i < count;
         i = next.fetch_add(1, std::memory_order_relaxed)) {
      f(i);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < ThreadLimit::current(); ++i) {
    threads.emplace_back([&] {
      leave_signals_to_caller();
      work();
    });
  }
  work();
  for (std::thread& thread : threads) thread.join();
}
#else
template <typename F>
void parallel_for(size_t count, F&& f) {
  tbb::parallel_for(size_t{0}, count, std::forward<F>(f));
}
#endif

// f(begin, end) over consecutive pieces of [0, count), each `grain` long but the last.
template <typename F>
void parallel_for_pieces(size_t count, size_t grain, F&& f) {
  const size_t pieces = count / grain + (count % grain != 0 ? 1 : 0);
  parallel_for(pieces, [&](size_t piece) {
    const size_t begin = piece * grain;
    f(begin, count - begin < grain ? count : begin + grain);
  });
}

}  // namespace heapscan

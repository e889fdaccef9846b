// Parallel loops over indices. f(i) writes only to slot i, so the answer is the same for every
// thread count.
#pragma once

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

// ThreadSanitizer cannot see how oneTBB, which is not built with it, hands work from thread to thread,
// and takes all of it for races. And a static program cannot have oneTBB, of which there is no archive.
#if defined(__SANITIZE_THREAD__) || defined(HEAPSCAN_STATIC)
#define HEAPSCAN_OWN_THREADS 1
#else
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_scheduler_observer.h>
#endif

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

[[nodiscard]] inline size_t threads_meant(unsigned threads) {
  return threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
}

#if defined(HEAPSCAN_OWN_THREADS)

class OwnThreadsLimit {
 public:
  explicit OwnThreadsLimit(size_t threads) : before_(limit().exchange(threads)) {}
  ~OwnThreadsLimit() { limit() = before_; }
  OwnThreadsLimit(const OwnThreadsLimit&) = delete;
  OwnThreadsLimit& operator=(const OwnThreadsLimit&) = delete;
  [[nodiscard]] static size_t current() { return limit(); }

 private:
  static std::atomic<size_t>& limit() {
    static std::atomic<size_t> threads{threads_meant(0)};
    return threads;
  }
  size_t before_;
};
using LimitOfLoops = OwnThreadsLimit;

// One for all loops of the thread, whatever they call.
inline bool& is_within_loop() {
  static thread_local bool is_within = false;
  return is_within;
}

// The threads of one loop take indices by the piece. A loop within a loop has no threads of its own.
// Where the system gives no more threads, those that are there do the work.
template <typename F>
void parallel_for(size_t count, F&& f) {
  constexpr size_t kPiecesPerThread = 32;
  const size_t threads = is_within_loop() ? 1 : std::min(LimitOfLoops::current(), count);
  if (threads <= 1) {
    for (size_t i = 0; i < count; ++i) f(i);
    return;
  }
  const size_t piece = std::max<size_t>(1, count / (threads * kPiecesPerThread));
  std::atomic<size_t> next{0};
  std::atomic_flag has_failed = ATOMIC_FLAG_INIT;
  std::exception_ptr failure;
  const auto work = [&] {
    is_within_loop() = true;
    try {
      for (size_t begin = next.fetch_add(piece, std::memory_order_relaxed); begin < count;
           begin = next.fetch_add(piece, std::memory_order_relaxed)) {
        for (size_t i = begin; i < std::min(begin + piece, count); ++i) f(i);
      }
    } catch (...) {
      if (!has_failed.test_and_set()) failure = std::current_exception();
      next = count;
    }
    is_within_loop() = false;
  };
  std::vector<std::thread> workers;
  workers.reserve(threads);
  try {
    for (size_t i = 1; i < threads; ++i) {
      workers.emplace_back([&] {
        leave_signals_to_caller();
        work();
      });
    }
  } catch (const std::system_error&) {
  }
  work();
  for (std::thread& worker : workers) worker.join();
  if (failure) std::rethrow_exception(failure);
}

#else

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

class OneTbbLimit {
 public:
  explicit OneTbbLimit(size_t threads)
      : control_(tbb::global_control::max_allowed_parallelism, threads) {
    WorkersWithoutSignals::begin();
  }
  [[nodiscard]] static size_t current() {
    return tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  }

 private:
  tbb::global_control control_;
};
using LimitOfLoops = OneTbbLimit;

template <typename F>
void parallel_for(size_t count, F&& f) {
  tbb::parallel_for(size_t{0}, count, std::forward<F>(f));
}

#endif

// While alive, limits the threads all parallel loops may use; 0 means one per processor.
class ThreadLimit {
 public:
  explicit ThreadLimit(unsigned threads) : limit_(threads_meant(threads)) {}
  [[nodiscard]] static size_t current() { return LimitOfLoops::current(); }

 private:
  LimitOfLoops limit_;
};

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

// Parallel loops over indices. f(i) writes only to slot i, so the answer is the same for every
// thread count.
#pragma once

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <cstddef>
#include <thread>

namespace heapscan {

// While alive, limits the threads all parallel loops may use; 0 means one per processor.
class ThreadLimit {
 public:
  explicit ThreadLimit(unsigned threads)
      : control_(tbb::global_control::max_allowed_parallelism, resolve(threads)) {}
  [[nodiscard]] static size_t current() {
    return tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  }

 private:
  static size_t resolve(unsigned threads) {
    return threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  }
  tbb::global_control control_;
};

template <typename F>
void parallel_for(size_t count, F&& f) {
  tbb::parallel_for(size_t{0}, count, std::forward<F>(f));
}

// f(begin, end) over consecutive pieces of [0, count), each `grain` long but the last.
template <typename F>
void parallel_for_pieces(size_t count, size_t grain, F&& f) {
  const size_t pieces = count / grain + (count % grain != 0 ? 1 : 0);
  tbb::parallel_for(size_t{0}, pieces, [&](size_t piece) {
    const size_t begin = piece * grain;
    f(begin, count - begin < grain ? count : begin + grain);
  });
}

}  // namespace heapscan

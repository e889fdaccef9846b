#include "acquire/pause_parts.h"

#include <unistd.h>

#include <array>
#include <cstdio>

namespace heapscan {

using std::chrono::steady_clock;

PauseParts::PauseParts()
    : last_(steady_clock::now()),
      schedstat_(Fd::open_read("/proc/thread-self/schedstat")),
      waited_before_(waited()) {
  constexpr size_t kUsually = 8;
  parts_.reserve(kUsually);
}

void PauseParts::began(steady_clock::time_point at) { last_ = at; }

void PauseParts::end_of(const char* part) {
  const auto now = steady_clock::now();
  parts_.emplace_back(part, std::chrono::duration<double>(now - last_).count());
  last_ = now;
}

std::vector<std::pair<std::string, double>> PauseParts::finish() {
  std::vector<std::pair<std::string, double>> parts(parts_.begin(), parts_.end());
  if (schedstat_.valid()) parts.emplace_back("waited for a processor", waited() - waited_before_);
  return parts;
}

// The second of three numbers, in nanoseconds (Linux Documentation/scheduler/sched-stats.rst).
double PauseParts::waited() const {
  constexpr double kNanosecond = 1e-9;
  std::array<char, 128> text{};
  if (!schedstat_.valid() || ::pread(schedstat_.get(), text.data(), text.size() - 1, 0) <= 0) {
    return 0;
  }
  unsigned long long ran = 0;
  unsigned long long waited = 0;
  if (std::sscanf(text.data(), "%llu %llu", &ran, &waited) != 2) return 0;
  return static_cast<double>(waited) * kNanosecond;
}

}  // namespace heapscan

#include "acquire/pause.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <system_error>
#include <utility>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr size_t kMostThreads = 16;  // more copy no faster

}  // namespace

WorkCrew::WorkCrew() {
  const size_t threads = std::min(ThreadLimit::current(), kMostThreads);
  try {
    for (size_t i = 1; i < threads; ++i) helpers_.emplace_back([this] { help(); });
  } catch (const std::system_error&) {  // the user may start no more
  }
}

WorkCrew::~WorkCrew() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

std::vector<int> WorkCrew::thread_ids() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ids_.size() == helpers_.size(); });
  return ids_;
}

void WorkCrew::run(size_t count, const std::function<void(size_t)>& f) {
  const bool alone = count < 2 || helpers_.empty();
  if (alone) {
    for (size_t i = 0; i < count; ++i) f(i);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    task_ = &f;
    count_ = count;
    next_ = 0;
    ++round_;
  }
  changed_.notify_all();
  work(f, count);
  std::unique_lock lock(mutex_);
  task_ = nullptr;  // a helper that is late finds nothing to do
  changed_.wait(lock, [&] { return busy_ == 0; });
  if (problem_) std::rethrow_exception(std::exchange(problem_, nullptr));
}

void WorkCrew::help() {
  size_t seen = 0;
  std::unique_lock lock(mutex_);
  ids_.push_back(::gettid());
  changed_.notify_all();
  for (;;) {
    changed_.wait(lock, [&] { return over_ || round_ != seen; });
    if (over_) return;
    seen = round_;
    if (task_ == nullptr) continue;
    ++busy_;
    const Task& task = *task_;
    const size_t count = count_;
    lock.unlock();
    work(task, count);
    lock.lock();
    if (--busy_ == 0) changed_.notify_all();
  }
}

void WorkCrew::work(const Task& task, size_t count) {
  try {
    for (size_t i = next_++; i < count; i = next_++) task(i);
  } catch (...) {
    next_ = count;  // nobody begins anything more
    const std::lock_guard lock(mutex_);
    if (!problem_) problem_ = std::current_exception();
  }
}

namespace {

// The lowest real-time priority, so that whoever has one still comes before us.
constexpr int kPriority = 1;

bool is_ordinary(int tid) {
  return ::sched_getscheduler(tid) == SCHED_OTHER &&
         ::getpriority(PRIO_PROCESS, static_cast<id_t>(tid)) <= 0;
}

}  // namespace

Urgency::Urgency(const std::vector<int>& tids) {
  for (const int tid : tids) {
    const sched_param priority{kPriority};
    if (is_ordinary(tid) &&
        ::sched_setscheduler(tid, SCHED_RR | SCHED_RESET_ON_FORK, &priority) == 0) {
      raised_.push_back(tid);
    }
  }
}

Urgency::~Urgency() {
  const sched_param none{0};
  for (const int tid : raised_) ::sched_setscheduler(tid, SCHED_OTHER, &none);
}

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

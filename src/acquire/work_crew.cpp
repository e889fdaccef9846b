#include "acquire/work_crew.h"

#include <unistd.h>

#include <algorithm>
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

}  // namespace heapscan

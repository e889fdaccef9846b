// What goes on while a process stands still because of us: threads of ours share out the work and
// do not wait in line for a processor, and we keep account of where the time goes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "heapscan/base/fd.h"

namespace heapscan {

// ---- threads that share out work ----------------------------------------------------------------

// Threads of ours that share out work while a process stands still.
//
// They are made before the stop and sleep until there is work: a thread made during the stop, or a
// pool whose threads look for work by turning round and round on the processor that the copy needs,
// would prolong it.

class WorkCrew {
 public:
  // As many threads in all as parallel loops may use; the one that calls run() is one of them.
  WorkCrew();
  ~WorkCrew();
  WorkCrew(const WorkCrew&) = delete;
  WorkCrew& operator=(const WorkCrew&) = delete;

  [[nodiscard]] size_t size() const { return helpers_.size() + 1; }
  // Calls f(i) for every i below `count`, on all threads. What f throws is thrown here.
  void run(size_t count, const std::function<void(size_t)>& f);
  // The kernel's ids of the helpers.
  [[nodiscard]] std::vector<int> thread_ids();

 private:
  using Task = std::function<void(size_t)>;
  void help();
  void work(const Task& task, size_t count);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> helpers_;
  std::vector<int> ids_;
  const Task* task_ = nullptr;  // while there is work
  size_t count_ = 0;
  std::atomic<size_t> next_{0};
  size_t busy_ = 0;   // helpers that are at it
  size_t round_ = 0;  // how often there was work
  bool over_ = false;
  std::exception_ptr problem_;
};

// ---- first in line ------------------------------------------------------------------------------

// While a process stands still because of us, we do not wait in line for a processor: on a busy
// machine that takes ten times as long as the copy.

// Up to this much is copied with urgency: some tens of milliseconds, during which other programs
// may find no processor.
constexpr uint64_t kUrgentBytes = uint64_t{512} << 20;

// While alive, the threads come before all that are not real-time threads, where the user may do
// that (root, CAP_SYS_NICE, a limit on RTPRIO). Not when the user has lowered our priority.
class Urgency {
 public:
  // Threads of this process, by the kernel's ids.
  explicit Urgency(const std::vector<int>& tids);
  ~Urgency();
  Urgency(const Urgency&) = delete;
  Urgency& operator=(const Urgency&) = delete;

 private:
  std::vector<int> raised_;
};

// ---- where the time goes during which a process stands still ------------------------------------

// Used by the thread that stops the process, and only by that one.
class PauseParts {
 public:
  // Before the stop.
  PauseParts();
  // The pause began then.
  void began(std::chrono::steady_clock::time_point at);
  // What was done since the end of the part before, or since the beginning, was `part`.
  void end_of(const char* part);
  // After the pause: all parts in order, seconds, and how long in all of that we waited for a
  // processor, where the kernel tells it.
  [[nodiscard]] std::vector<std::pair<std::string, double>> finish();

 private:
  [[nodiscard]] double waited() const;

  std::chrono::steady_clock::time_point last_;
  std::vector<std::pair<const char*, double>> parts_;
  Fd schedstat_;
  double waited_before_ = 0;
};

}  // namespace heapscan

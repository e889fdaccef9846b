// Threads of ours that share out work while a process stands still.
//
// They are made before the stop and sleep until there is work: a thread made during the stop, or a
// pool whose threads look for work by turning round and round on the processor that the copy needs,
// would prolong it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace heapscan {

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

}  // namespace heapscan

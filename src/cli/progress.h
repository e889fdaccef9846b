// One line on the terminal that says what is going on, once it has been going on for over a second.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace heapscan {

class Progress {
 public:
  // Shows nothing at all unless `wanted` and standard error is a terminal.
  explicit Progress(bool wanted);
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void stage(const std::string& name);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable ended_changed_;
  std::string stage_;
  bool ended_ = false;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::thread thread_;
};

}  // namespace heapscan

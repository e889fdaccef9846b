// Where the time goes during which a process stands still.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/base/fd.h"

namespace heapscan {

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

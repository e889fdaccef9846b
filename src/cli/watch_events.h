// What `watch` waits for: the time of the next sample, signals, and the end of the process.
#pragma once

#include <chrono>

#include "heapscan/base/fd.h"

namespace heapscan {

// Keeps SIGUSR1 waiting until there are WatchEvents: a report that is asked for before must not end
// the program. Called while there is one thread.
void hold_report_signal();

// While alive, SIGINT, SIGTERM and SIGHUP mean "end with a report" the first time, and what they
// always do the second time; SIGUSR1 means "report now". Signals that were ignored stay ignored, but
// for SIGUSR1, which is no longer blocked either. One at a time.
class WatchEvents {
 public:
  explicit WatchEvents(Fd end_of_process);
  ~WatchEvents();
  WatchEvents(const WatchEvents&) = delete;
  WatchEvents& operator=(const WatchEvents&) = delete;

  // Comes back at that time, or as soon as anything else has happened.
  void wait_until(std::chrono::steady_clock::time_point due);
  [[nodiscard]] bool process_ended() const { return process_ended_; }
  // The signal that asked for the end; 0: none.
  [[nodiscard]] static int end_signal();
  // Whether a report was asked for since the last call.
  [[nodiscard]] static bool take_report_wanted();

 private:
  Fd end_of_process_;
  Fd arrived_;  // readable when a signal has come
  bool process_ended_ = false;
};

}  // namespace heapscan

// SIGINT, SIGTERM and SIGHUP while a process is stopped: they are noted, the process is released,
// and then they do what they would have done. One watch at a time.
#pragma once

#include <array>
#include <csignal>

namespace heapscan {

// Thrown to unwind, and with that release, after requested() has become true.
struct Interrupted {};

class TerminationWatch {
 public:
  TerminationWatch();
  ~TerminationWatch();
  TerminationWatch(const TerminationWatch&) = delete;
  TerminationWatch& operator=(const TerminationWatch&) = delete;

  // True once one of the signals has arrived. Any thread may ask.
  [[nodiscard]] static bool requested();

  // Puts the former handlers back. Then, when a signal had arrived, raises it again; comes back
  // only where the program survives it, and throws Error then.
  void finish();

 private:
  void restore();

  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, 3> former_{};
  bool installed_ = true;
};

}  // namespace heapscan

// What `watch` does once its command line is understood: samples, looks, notes and reports, until
// something ends it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/keep_capture.h"
#include "cli/options.h"
#include "cli/pick_process.h"
#include "cli/watch_rules.h"

namespace heapscan {

struct WatchWords {
  std::string target;
  Pick pick = Pick::TheOnlyOne;
  bool leave_calls = false;
  double interval = 10;  // seconds
  std::optional<uint64_t> samples;
  uint64_t every = 0;  // samples; 0: only when the process has grown
  StopLimits limits;
  std::optional<uint64_t> until_growth;
  std::optional<double> near_limit;     // share
  std::optional<std::string> snapshot;  // its name as typed
  static constexpr const char* kSnapshot = "heapscan-%p-%t.core.zst";
  [[nodiscard]] std::string snapshot_name() const { return snapshot.value_or(kSnapshot); }
  KeepHow keep;
  uint64_t top = 10;
  bool quiet = false;
  bool verbose = false;
  SharedOptions shared;
};

// The exit code. Throws Error when the process cannot be looked at, or the lines cannot be written.
[[nodiscard]] int watch_process(int pid, const WatchWords& words);

}  // namespace heapscan

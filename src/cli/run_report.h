// What `attach` and `core` have in common: from a capture to a written report.
#pragma once

#include <functional>
#include <string>

#include "cli/options.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/analysis/analysis.h"

namespace heapscan {

enum ExitCode : int {
  kNothingLost = 0,
  kDefinitelyLost = 1,
  kUsageError = 2,
  kAcquireError = 3,
  kUnsupported = 4,
};

// The group that `id` means. Throws Error (Usage) that lists those that come near.
[[nodiscard]] ClusterId choose_cluster(const Analysis& analysis, const std::string& id);

// `capture` opens the door; `again` are the shell words that lead to the same report. Throws Error.
[[nodiscard]] int run_report(const SharedOptions& options, const std::string& again,
                             const std::function<Capture()>& capture);

}  // namespace heapscan

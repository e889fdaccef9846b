// The live door for processes that somebody else has stopped.
#pragma once

#include <vector>

#include "heapscan/acquire/capture.h"

namespace heapscan {

// Captures a process that is about to end and lets it go. `tids` are its threads: all are traced by
// the calling thread, and stopped. They are let go in any case. Throws Error.
[[nodiscard]] Capture capture_ending_process(int pid, const std::vector<int>& tids);

// The same of a process that goes on: its threads stay traced and stopped.
[[nodiscard]] Capture capture_stopped_process(int pid, const std::vector<int>& tids);

}  // namespace heapscan

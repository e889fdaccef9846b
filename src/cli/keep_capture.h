// From a capture to a snapshot's file: what `snapshot` and `watch` have in common.
#pragma once

#include <string>

#include "cli/options.h"
#include "cli/progress.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/image/capture_facts.h"

namespace heapscan {

struct KeepHow {
  Content content = Content::Full;
  bool force = false;
  ReadingOptions reading;  // for finding blocks, where not everything is kept
};

// --force and --content.
void add_keep_options(CLI::App& command, KeepHow& how);

// `pattern` with what it says of the process, this host and this moment. Throws Error (Usage).
[[nodiscard]] std::string snapshot_name_for(const std::string& pattern, int pid);

// Writes the file and returns a sentence about it. Throws Error.
[[nodiscard]] std::string keep_capture(const Capture& capture, const std::string& path,
                                       const KeepHow& how, Progress& progress);

}  // namespace heapscan

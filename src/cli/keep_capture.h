// From a capture to a snapshot's file: what `snapshot` and `watch` have in common.
#pragma once

#include <string>
#include <string_view>

#include "cli/options.h"
#include "cli/output.h"
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

// ---- the name of a snapshot, as the user spelled it ---------------------------------------------

// What a name may refer to.
struct NameParts {
  int pid = 0;       // %p
  std::string host;  // %h
  long time = 0;     // %t: seconds since the epoch
};

// "web1.4711.core" of "%h.%p.core", as in /proc/sys/kernel/core_pattern; "%%" is a percent sign.
// Throws Error (Usage) for any other letter.
[[nodiscard]] std::string expanded_name(std::string_view pattern, const NameParts& parts);

[[nodiscard]] bool names_pid(std::string_view pattern);

}  // namespace heapscan

// Cores that are no files: what a pipe gives, and what systemd has kept.
#pragma once

#include <string>

#include "heapscan/acquire/capture.h"
#include "heapscan/base/fd.h"

namespace heapscan {

// What `stream` gives from here on, packed or not; it is kept in TMPDIR for as long as the capture
// lives. `name` is what messages call it. Throws Error as load_core does, and when it cannot be read.
[[nodiscard]] Capture load_core_stream(const Fd& stream, const std::string& name,
                                       const CoreOptions& options = {});

// The newest core that systemd-coredump has kept, of what `match` means to coredumpctl (a process id,
// a name, a path; empty: of anything): what `coredumpctl dump` writes. Throws Error (Usage, Acquire):
// no coredumpctl here, no such core, none kept.
[[nodiscard]] Capture load_last_core(const std::string& match, const CoreOptions& options = {});

}  // namespace heapscan

// The core door: a kernel core, a gcore core, our own snapshot; plain or zstd-compressed.
//
// The core is mapped, not copied. Memory it left out because a file holds it comes from that file
// once its build-id matches. What a truncated core lost becomes Absent regions, notes and
// MemoryImage::missing_bytes(). Formats: ELF gABI ET_CORE, PN_XNUM; Linux NT_PRSTATUS, NT_PRPSINFO,
// NT_AUXV, NT_FILE, NT_X86_XSTATE, NT_SIGINFO.
#pragma once

#include <string>
#include <vector>

#include "heapscan/acquire/capture.h"

namespace heapscan {

struct CoreOptions {
  std::string sysroot;  // prefix under which the target's files are looked for first
  std::vector<std::string> debug_dirs;  // roots holding .build-id/xx/yyyy(.debug)
};

// Throws Error (Acquire): not a core, another architecture, empty, unreadable.
[[nodiscard]] Capture load_core(const std::string& path, const CoreOptions& options = {});

// The same over bytes in memory, which must outlive the capture (tests, fuzzers). Opens no file
// when `options.sysroot` is "" and `open_files` is false.
[[nodiscard]] Capture load_core_bytes(Bytes bytes, const std::string& name,
                                      const CoreOptions& options, bool open_files);

}  // namespace heapscan

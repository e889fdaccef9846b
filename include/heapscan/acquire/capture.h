// The doors through which a process comes in, and what they hand over: a capture.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "heapscan/elf/open_file.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/image/image.h"

namespace heapscan {

// ---- what a door hands over ---------------------------------------------------------------------

// What a door hands over: the frozen process, the files behind its modules, and where it came from.

struct Capture {
  MemoryImage image;
  ModuleFiles files;
  CaptureFacts facts;
  // The core's file, which the image reads from; none of a process.
  std::optional<OpenedFile> source{};
  // Of facts.pause_seconds: what, seconds; in order. The last may be how long of all that we waited
  // for a processor.
  std::vector<std::pair<std::string, double>> pause_parts = {};
  // Of a snapshot without its contents: what heap blocks contained. Sorted by address.
  std::vector<BlockHash> hashes = {};
};

// Throws Error (Acquire) when the core's file is not what it was when it was loaded: what the
// analysis saw of it then need not belong together. Ask when all of it has been read.
void require_unchanged(const Capture& capture);

// ---- the core door ------------------------------------------------------------------------------

// The core door: a kernel core, a gcore core, our own snapshot; plain or packed by zstd, gzip, xz or
// lz4, whatever its name.
//
// The core is mapped, not copied. Memory it left out because a file holds it comes from that file
// once its build-id matches. What a truncated core lost becomes Absent regions, notes and
// MemoryImage::missing_bytes(). Formats: ELF gABI ET_CORE, PN_XNUM; Linux NT_PRSTATUS, NT_PRPSINFO,
// NT_AUXV, NT_FILE, NT_X86_XSTATE, NT_SIGINFO.

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

// ---- the live door ------------------------------------------------------------------------------

// The live door: stop a process, copy what analysis needs, let it go.
//
// The target is seized (PTRACE_SEIZE + PTRACE_INTERRUPT on every thread) and only read. It is
// released on every path: by destructors, by the signals that end us, and by the kernel when we are
// killed. Time stopped is measured.

// What a capture is about to cost, as far as can be told before the stop.
struct PauseEstimate {
  uint64_t bytes = 0;            // to be copied, and the memory that takes
  uint64_t available_bytes = 0;  // memory that there is for it; 0: unknown
  size_t threads = 0;            // to be stopped
  double pause_seconds = 0;
};

struct CaptureOptions {
  // How long stopping all threads may take before we give up and release (the copy itself is not
  // limited).
  std::chrono::milliseconds stop_limit{10000};
  // System calls that the stop ends with EINTR stay ended, as with other debuggers. Otherwise they
  // are made again.
  bool leave_calls = false;
  // Called before the stop. The estimate takes a trial copy of some MiB of the running process.
  std::function<void(const PauseEstimate&)> on_estimate;
};

// For a person to choose from.
struct ProcessMatch {
  int pid = 0;
  std::string command_line;
  uint64_t start_time = 0;  // in ticks since the system started
  double age_seconds = 0;
  uint64_t resident_bytes = 0;
};

// Processes whose comm, or whose executable's or argv[0]'s last path component, is `name`, or whose
// executable is the file `name` if that is a path; ourselves left out. By pid. Throws Error when
// /proc is not there, or not ours.
[[nodiscard]] std::vector<ProcessMatch> find_processes(const std::string& name);

// Whether /proc keeps processes of other users from our sight (hidepid).
[[nodiscard]] bool hides_processes();

// Throws Error (Acquire, or Unsupported for a process that is not x86-64) naming cause and fix: no
// such process, exited meanwhile, permission (yama, capability, other user, user namespace, not
// dumpable), already traced and by whom, kernel thread, 32-bit, ourselves.
[[nodiscard]] Capture capture_process(int pid, const CaptureOptions& options = {});

}  // namespace heapscan

// What /proc says of a process, read into values. The parsers are pure: text in, values out.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/note.h"
#include "heapscan/base/text_lines.h"
#include "heapscan/image/image.h"
#include "heapscan/image/memory_sample.h"

namespace heapscan {

// ---- the two ways in which /proc speaks: lines of text, and links -------------------------------

// Where the link points; empty when it cannot be read.
[[nodiscard]] std::string link_target(const std::string& path);

// ---- maps and smaps -----------------------------------------------------------------------------

// The text of /proc/PID/maps and /proc/PID/smaps, read into values. Pure: text in, values out.
//
// Mappings come out ascending and disjoint whatever the text says; lines that are malformed, or
// overlap what was read before them, are left out and noted. Formats: Linux
// Documentation/filesystems/proc.rst.

struct Mapping {
  AddrRange range;
  Perms perms;
  uint64_t file_offset = 0;  // bytes
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t inode = 0;  // 0: no file
  std::string path;    // as the kernel wrote it, " (deleted)" included, newlines restored; or
                       // "[heap]" and the like
  bool operator==(const Mapping&) const = default;
};

[[nodiscard]] std::vector<Mapping> parse_maps(std::string_view text, Notes& notes);

// What smaps adds to a mapping. Walking it is slow, so it is read while the process still runs.
struct MappingUse {
  AddrRange range;
  uint64_t resident_bytes = 0;
  uint64_t swapped_bytes = 0;
  bool device_memory = false;  // VmFlags io or pf: reading it may have effects
};

[[nodiscard]] std::vector<MappingUse> parse_smaps(std::string_view text, Notes& notes);

// The entry whose range overlaps `range`, or nothing. `uses` as parse_smaps returns them.
[[nodiscard]] const MappingUse* use_of(const std::vector<MappingUse>& uses, AddrRange range);

// ---- status and stat ----------------------------------------------------------------------------

// What /proc says about a process or a thread: status and stat, read into values. The parsers are
// pure. Formats: Linux Documentation/filesystems/proc.rst; flags: PF_* of include/linux/sched.h.

struct ProcessStatus {
  std::string name;
  char state = '?';
  int tgid = 0;
  int parent = 0;
  int tracer = 0;
  int threads = 0;
  int seccomp_mode = 0;            // 0: none, 1: strict, 2: filter
  std::array<uint32_t, 4> uids{};  // real, effective, saved, file system
  uint64_t permitted_capabilities = 0;
  uint64_t effective_capabilities = 0;
  bool has_shadow_stack = false;
};
[[nodiscard]] std::optional<ProcessStatus> parse_status(std::string_view text);

struct TaskStat {
  std::string name;  // comm
  char state = '?';
  uint64_t flags = 0;
  uint64_t processor_ticks = 0;  // user and system time; of /proc/PID/stat, of all threads
  uint64_t start_time = 0;       // in ticks since the system started

  [[nodiscard]] bool is_dead() const { return state == 'Z' || state == 'X' || state == 'x'; }
  [[nodiscard]] bool is_kernel_thread() const { return (flags & 0x00200000) != 0; }
  // A worker of io_uring or vhost: a thread of the process that never runs the program's code.
  [[nodiscard]] bool is_kernel_worker() const { return (flags & (0x10 | 0x4000)) != 0; }
};
[[nodiscard]] std::optional<TaskStat> parse_stat(std::string_view text);

// Nothing when there is no such process (any more).
[[nodiscard]] std::optional<ProcessStatus> read_status(int pid);
[[nodiscard]] std::optional<TaskStat> read_task_stat(int pid, int tid);

// The thread ids of a process, ascending; empty when it is gone.
[[nodiscard]] std::vector<int> list_threads(int pid);

// The main thread, or, when that has ended, another one that has not: /proc shows a process' memory
// through it. Nothing when all of them have.
[[nodiscard]] std::optional<int> living_thread(int pid);

// The auxiliary vector, as far as it can be read.
[[nodiscard]] std::vector<AuxEntry> read_aux(const std::string& folder);

// "/proc/4711"
[[nodiscard]] std::string process_folder(int pid);

// Numbers that are names in a folder: processes, threads, file descriptors. Ascending.
[[nodiscard]] std::vector<int> numbered_entries(const std::string& folder);

// ---- samples ------------------------------------------------------------------------------------

// The text of /proc that samples are read from. Formats: Linux
// Documentation/filesystems/proc.rst.

// Of status and smaps_rollup, which may be empty: kernels before 4.14 have none, and others may not
// let us read it. Nothing where `status` is of no process with memory.
[[nodiscard]] std::optional<MemorySample> parse_sample(std::string_view status,
                                                       std::string_view rollup);

}  // namespace heapscan

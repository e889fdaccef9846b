// What /proc says about a process or a thread: status and stat, read into values. The parsers are
// pure. Formats: Linux Documentation/filesystems/proc.rst; flags: PF_* of include/linux/sched.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/image/image.h"

namespace heapscan {

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
};
[[nodiscard]] std::optional<ProcessStatus> parse_status(std::string_view text);

struct TaskStat {
  std::string name;  // comm
  char state = '?';
  uint64_t flags = 0;
  uint64_t start_time = 0;

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

}  // namespace heapscan

// What each process of the machine takes, and how that changed between two readings. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heapscan {

// Resident bytes divided by the number of those who share a page: sums over processes are true.
struct ProportionalMemory {
  uint64_t anonymous = 0;
  uint64_t files = 0;
  uint64_t shared = 0;  // shared memory and tmpfs
  uint64_t swapped = 0;
};
// Of /proc/PID/smaps_rollup. Nothing when the text does not have it; kernels before 5.4 do not part it
// by kind.
[[nodiscard]] std::optional<ProportionalMemory> parse_rollup(std::string_view text);

struct ProcessMemory {
  int pid = 0;
  uint64_t start_time = 0;  // ticks since the system started: tells processes of one pid apart
  std::string name;
  uint64_t resident = 0;   // bytes, as all of these
  uint64_t anonymous = 0;  // resident; shared after fork counts with each
  uint64_t files = 0;
  uint64_t shared = 0;
  uint64_t swapped = 0;
  std::optional<ProportionalMemory> proportional;

  // What has no file to go back to and belongs to no one else's tmpfs.
  [[nodiscard]] uint64_t held() const { return anonymous + swapped; }
};

// Of /proc/PID/status and statm: kernels before 4.5 do not part resident memory in status. Nothing
// for kernel threads and for what has ended. Without pid and start time.
[[nodiscard]] std::optional<ProcessMemory> parse_process_memory(std::string_view status,
                                                                std::string_view statm,
                                                                uint64_t page_size);

// ---- between two readings -----------------------------------------------------------------------

struct ProcessChanges {
  std::vector<std::optional<int64_t>> growth;  // of held(), one per process of the later reading;
                                               // nothing for those that began meanwhile
  std::vector<ProcessMemory> ended;            // largest first
  uint64_t begun = 0;
};
[[nodiscard]] ProcessChanges compare_processes(const std::vector<ProcessMemory>& before,
                                               const std::vector<ProcessMemory>& now);

}  // namespace heapscan

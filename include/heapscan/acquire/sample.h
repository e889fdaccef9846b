// Light samples of a running process: /proc is read, and the process runs on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/fd.h"
#include "heapscan/image/memory_sample.h"

namespace heapscan {

// What tells one run of one program from what takes its place.
struct ProcessStamp {
  int pid = 0;  // of the process, also where a thread was asked for
  std::string command;
  uint64_t start_time = 0;  // in ticks since the system started
  std::string aux;         // the auxiliary vector: another one with every exec; empty: not readable
  std::string executable;  // where its link leads
};

enum class Became : uint8_t {
  Itself,
  Ended,
  OtherProgram,  // by exec
  OtherProcess,  // which was given its number
};

// `now` is nothing where there is no such process.
[[nodiscard]] Became what_became(const ProcessStamp& before,
                                 const std::optional<ProcessStamp>& now);

// Nothing when there is no such process, or only what is left of one that ended.
[[nodiscard]] std::optional<ProcessStamp> stamp_of(int pid);

// Costs the process a walk over its page tables, done by us. Nothing when it has ended.
[[nodiscard]] std::optional<MemorySample> sample_memory(int pid);

// Processor time the process has used since it began, in seconds; nothing when it has ended.
[[nodiscard]] std::optional<double> processor_seconds(int pid);

// Readable, as poll() has it, when the process has ended. Invalid where the kernel has no such thing.
[[nodiscard]] Fd open_end_of_process(int pid);

// Of the process' cgroups, innermost first (versions 1 and 2, those without a limit left out), and
// then of the machine.
[[nodiscard]] std::vector<MemoryLimit> find_memory_limits(int pid);

}  // namespace heapscan

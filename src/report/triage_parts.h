// Parts of what `triage` says.
#pragma once

#include <string>

#include "heapscan/report/triage.h"

namespace heapscan {

// The row of a use; every report has all of them.
[[nodiscard]] const TriageRow& row_of(const TriageReport& report, MachineUse use);

// "71 %", "3.2 %".
[[nodiscard]] std::string spelled_share(double part, double whole);

// "redis-server (1234)".
[[nodiscard]] std::string spelled_process(const ProcessMemory& process);

// "+1.2 MiB/min" of so many bytes in `seconds`.
[[nodiscard]] std::string spelled_growth(int64_t bytes, double seconds);

// What follows from the rest of the report: its first sentence, what is left over, what could not be
// read, and what to do next.
void add_summary(TriageReport& report);
void add_left_over_hints(const MachineFacts& facts, TriageReport& report);
void add_what_was_not_read(const MachineFacts& facts, TriageReport& report);
void add_next_steps(const MachineFacts& facts, const TriageOptions& options, TriageReport& report);

}  // namespace heapscan

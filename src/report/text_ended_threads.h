// Threads that nobody joined, in words and as JSON.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "heapscan/report/ended_threads.h"
#include "report/json_values.h"

namespace heapscan {

// Nothing when there are none; the first few functions, or all of them.
void write_ended_threads(const std::vector<EndedThreadsRow>& rows, bool all, std::ostream& out);

// "2.4 GiB of stacks (1.2 MiB resident)".
[[nodiscard]] std::string spelled_stacks(const EndedThreadsRow& row);

[[nodiscard]] Json json_of(const std::vector<EndedThreadsRow>& rows);

}  // namespace heapscan

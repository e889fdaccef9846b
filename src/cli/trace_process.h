// What `trace` does once its command line is understood: probes, records, one look, a report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/options.h"
#include "heapscan/acquire/allocation_trace.h"
#include "heapscan/report/trace.h"

namespace heapscan {

enum class TraceFormat { Text, Json, Html, Folded, Pprof };

struct TraceWords {
  ProcessWords process;
  double seconds = 10;
  std::optional<SizeRange> sizes;
  uint64_t one_in = 1;
  double most_slowdown = 3;
  TraceFormat format = TraceFormat::Text;
  TraceWeight weight = TraceWeight::Lost;
  SharedOptions shared;  // its cluster: whose sizes are meant
};

// The exit code. Throws Error.
[[nodiscard]] int trace_process(int pid, const TraceWords& words);

}  // namespace heapscan

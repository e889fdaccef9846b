#include "cli/trace_rules.h"

#include <algorithm>

namespace heapscan {

uint64_t next_one_in(uint64_t one_in, const TraceLoad& load) {
  const bool is_too_much = load.lost > 0 || load.addresses_kept > kMostAddresses ||
                           static_cast<double>(load.records) > kMostRecordsPerSecond * load.seconds;
  return is_too_much ? std::min(2 * one_in, std::max(one_in, kMostOneIn)) : one_in;
}

bool slows_too_much(double probe_seconds, double processor_seconds, double limit) {
  constexpr double kLeast = 0.5;
  if (processor_seconds < kLeast) return false;
  return processor_seconds > limit * std::max(0.0, processor_seconds - probe_seconds);
}

}  // namespace heapscan

// When `trace` records less, and when it ends before its time. All pure.
#pragma once

#include <cstdint>

namespace heapscan {

// What happened since the last time this was asked.
struct TraceLoad {
  double seconds = 0;
  uint64_t records = 0;
  uint64_t lost = 0;
  uint64_t addresses_kept = 0;  // in all
};

constexpr double kMostRecordsPerSecond = 20'000;
constexpr uint64_t kMostAddresses = 8'000'000;
constexpr uint64_t kMostOneIn = uint64_t{1} << 20;

// Of how many addresses one is to be recorded from now on: twice as many as until now when there are
// more records than can be worked on.
[[nodiscard]] uint64_t next_one_in(uint64_t one_in, const TraceLoad& load);

// Whether probes take more of the time that the process gets than a slowdown by `limit` allows. Less
// than half a second says nothing.
[[nodiscard]] bool slows_too_much(double probe_seconds, double processor_seconds, double limit);

}  // namespace heapscan

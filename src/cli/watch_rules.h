// When `watch` looks inside, and for how long it may stop the process. All pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/diff/rate.h"

namespace heapscan {

// What is known at a sample.
struct SinceLook {
  uint64_t held_then = 0;  // memory without files, in bytes
  uint64_t held_now = 0;
  double seconds = 0;    // since the look began
  double look_took = 0;  // all of it, not only the stop
};

// Growth of a twentieth and of 4 MiB: less than that, malloc takes and keeps by itself (an arena's
// top, thread caches, stacks); and a look costs as much as the process is large, so that looks at a
// share of it are as far apart as they are dear. At most a tenth of the time is spent on looks.
[[nodiscard]] bool warrants_look(const SinceLook& since);

// Limits of the user for stops; nothing: none.
struct StopLimits {
  std::optional<double> single;  // seconds
  std::optional<double> total;
};
// Why a stop that is expected to last `expected` seconds must not be; empty when it may.
[[nodiscard]] std::string why_not_stop(const StopLimits& limits, double expected,
                                       double stopped_so_far);

// Adds a point. When there are very many, every other one goes.
void add_point(std::vector<RatePoint>& points, const RatePoint& point);

// Of a time table that began at 0: when the next sample is due, after those that are missed already.
[[nodiscard]] double next_due(double now, double interval);

}  // namespace heapscan

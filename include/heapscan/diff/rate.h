// How fast something grows, how sure that is, and when it will meet a limit.
//
// A rate is the slope of least squares. Samples of memory are no independent drawings: malloc takes
// memory in steps, so that neighbours are off by the same. The interval is widened by what the
// residuals of neighbours have in common (lag-1 autocorrelation), and where that leaves too little to
// judge by, there is no rate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "heapscan/image/memory_sample.h"

namespace heapscan {

struct RatePoint {
  double seconds = 0;
  double bytes = 0;
};

struct Rate {
  double per_second = 0;  // bytes
  double low = 0;         // of the 95 % confidence interval
  double high = 0;
  size_t points = 0;
  double seconds = 0;  // from the first point to the last

  [[nodiscard]] bool grows() const { return low > 0; }
  [[nodiscard]] bool shrinks() const { return high < 0; }
};

// Points are in the order of time. Nothing where they are too few, or hang together too much.
[[nodiscard]] std::optional<Rate> fit_rate(std::span<const RatePoint> points);

// The rate over all points, or that over their second half where the two cannot both be right and
// differ by a fifth: a cache that has filled grows no more.
struct LatestRate {
  Rate rate;
  bool is_of_second_half = false;
};
[[nodiscard]] std::optional<LatestRate> fit_latest_rate(std::span<const RatePoint> points);

// When growth at that rate meets the first of the limits; nothing where it does not grow for sure, or
// there is no limit.
struct TimeLeft {
  size_t limit = 0;  // its index
  double seconds = 0;
  double soonest = 0;  // at the ends of the rate's interval
  double latest = 0;
};
[[nodiscard]] std::optional<TimeLeft> time_left(std::span<const MemoryLimit> limits,
                                                const Rate& rate);

// The limit of which the largest share is used; nothing when there is none.
[[nodiscard]] std::optional<size_t> nearest_limit(std::span<const MemoryLimit> limits);
[[nodiscard]] double share_used(const MemoryLimit& limit);

}  // namespace heapscan

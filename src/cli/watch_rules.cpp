#include "cli/watch_process.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace heapscan {

namespace {

constexpr uint64_t kLeastGrowth = uint64_t{4} << 20;
constexpr uint64_t kShareOfGrowth = 20;  // one of so many
constexpr double kTimesALook = 10;
constexpr size_t kMostPoints = 65536;

}  // namespace

bool warrants_look(const SinceLook& since) {
  if (since.held_now <= since.held_then) return false;
  const uint64_t growth = since.held_now - since.held_then;
  return growth >= kLeastGrowth && growth >= since.held_then / kShareOfGrowth &&
         since.seconds >= kTimesALook * since.look_took;
}

std::string why_not_stop(const StopLimits& limits, double expected, double stopped_so_far) {
  if (limits.single && expected > *limits.single)
    return fmt::format("it is expected to stop the process for {:.1f} ms, and --max-pause is {:g}",
                       expected * 1e3, *limits.single * 1e3);
  if (limits.total && stopped_so_far + expected > *limits.total)
    return fmt::format(
        "it is expected to stop the process for {:.1f} ms, which makes {:.1f} ms in all, and "
        "--max-stopped is {:g}",
        expected * 1e3, (stopped_so_far + expected) * 1e3, *limits.total * 1e3);
  return "";
}

void add_point(std::vector<RatePoint>& points, const RatePoint& point) {
  points.push_back(point);
  if (points.size() < kMostPoints) return;
  for (size_t i = 0; 2 * i < points.size(); ++i) points[i] = points[2 * i];
  points.resize((points.size() + 1) / 2);
}

double next_due(double now, double interval) {
  return (std::floor(std::max(now, 0.0) / interval) + 1) * interval;
}

}  // namespace heapscan

#include "heapscan/diff/rate.h"

#include <algorithm>
#include <cmath>

namespace heapscan {

namespace {

constexpr size_t kFewestPoints = 6;
constexpr double kFewestIndependent = 6;
constexpr double kRateThatMatters = 0.2;  // of the larger one
constexpr double kRounding = 1e-18;       // of squares
constexpr double kMostCorrelated = 0.98;

// The 97.5 % point of Student's t, by the expansion of Cornish and Fisher; within 2 % from 4 degrees
// of freedom on.
double student_t(double freedom) {
  constexpr double kZ = 1.959964;
  constexpr double kZ3 = kZ * kZ * kZ;
  constexpr double kZ5 = kZ3 * kZ * kZ;
  constexpr double kZ7 = kZ5 * kZ * kZ;
  return kZ + (kZ3 + kZ) / (4 * freedom) +
         (5 * kZ5 + 16 * kZ3 + 3 * kZ) / (96 * freedom * freedom) +
         (3 * kZ7 + 19 * kZ5 + 17 * kZ3 - 15 * kZ) / (384 * freedom * freedom * freedom);
}

struct Line {
  double slope = 0;
  double first = 0;    // bytes; the others are counted from there, so that equal ones stay equal
  double at_mean = 0;  // beyond that
  double mean_time = 0;
  double spread = 0;  // of the times: the sum of squares

  [[nodiscard]] double distance(const RatePoint& point) const {
    return point.bytes - first - at_mean;
  }
  [[nodiscard]] double residual(const RatePoint& point) const {
    return distance(point) - slope * (point.seconds - mean_time);
  }
};

Line fit_line(std::span<const RatePoint> points) {
  Line line;
  const auto count = static_cast<double>(points.size());
  line.first = points.front().bytes;
  for (const RatePoint& point : points) {
    line.mean_time += point.seconds / count;
    line.at_mean += (point.bytes - line.first) / count;
  }
  double product = 0;
  for (const RatePoint& point : points) {
    const double time = point.seconds - line.mean_time;
    line.spread += time * time;
    product += time * line.distance(point);
  }
  if (line.spread > 0) line.slope = product / line.spread;
  return line;
}

// Both cannot be right, and it matters.
bool are_apart(const Rate& a, const Rate& b) {
  const bool meet = a.low <= b.high && b.low <= a.high;
  const double larger = std::max(std::abs(a.per_second), std::abs(b.per_second));
  return !meet && std::abs(a.per_second - b.per_second) > kRateThatMatters * larger;
}

}  // namespace

std::optional<Rate> fit_rate(std::span<const RatePoint> points) {
  if (points.size() < kFewestPoints) return std::nullopt;
  const Line line = fit_line(points);
  if (!(points.back().seconds > points.front().seconds)) return std::nullopt;
  double all_squares = 0;  // around the mean
  double squares = 0;      // around the line
  double products = 0;     // of neighbours
  for (size_t i = 0; i < points.size(); ++i) {
    const double residual = line.residual(points[i]);
    const double distance = line.distance(points[i]);
    all_squares += distance * distance;
    squares += residual * residual;
    if (i > 0) products += residual * line.residual(points[i - 1]);
  }
  const bool is_line = squares <= kRounding * all_squares;
  const double correlation = is_line ? 0 : std::clamp(products / squares, 0.0, kMostCorrelated);
  const double inflation = (1 + correlation) / (1 - correlation);
  const double independent = static_cast<double>(points.size()) / inflation;
  if (independent < kFewestIndependent) return std::nullopt;
  const auto freedom = static_cast<double>(points.size() - 2);
  const double error = std::sqrt(squares / freedom / line.spread * inflation);
  const double reach = student_t(std::max(independent - 2, 2.0)) * error;
  return Rate{line.slope, line.slope - reach, line.slope + reach, points.size(),
              points.back().seconds - points.front().seconds};
}

std::optional<LatestRate> fit_latest_rate(std::span<const RatePoint> points) {
  const auto whole = fit_rate(points);
  const auto half = fit_rate(points.subspan(points.size() / 2));
  if (half && (!whole || are_apart(*half, *whole))) return LatestRate{*half, true};
  if (!whole) return std::nullopt;
  return LatestRate{*whole, false};
}

std::optional<TimeLeft> time_left(std::span<const MemoryLimit> limits, const Rate& rate) {
  if (!rate.grows()) return std::nullopt;
  std::optional<TimeLeft> first;
  for (size_t i = 0; i < limits.size(); ++i) {
    const MemoryLimit& limit = limits[i];
    const auto room = static_cast<double>(limit.limit - std::min(limit.used, limit.limit));
    if (!first || room / rate.per_second < first->seconds)
      first = TimeLeft{i, room / rate.per_second, room / rate.high, room / rate.low};
  }
  return first;
}

double share_used(const MemoryLimit& limit) {
  return limit.limit == 0 ? 1 : static_cast<double>(limit.used) / static_cast<double>(limit.limit);
}

std::optional<size_t> nearest_limit(std::span<const MemoryLimit> limits) {
  const auto nearest = std::max_element(
      limits.begin(), limits.end(),
      [](const MemoryLimit& a, const MemoryLimit& b) { return share_used(a) < share_used(b); });
  if (nearest == limits.end()) return std::nullopt;
  return static_cast<size_t>(nearest - limits.begin());
}

}  // namespace heapscan

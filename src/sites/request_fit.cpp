#include "sites/request_fit.h"

#include <algorithm>

#include "heapscan/identify/requests.h"

namespace heapscan {

namespace {

// Share of a cluster's blocks whose sizes a site must explain.
constexpr double kLeastCovered = 0.85;

// Whether the site can ask for as many bytes as one of `requests`; of multiples at least one.
bool can_ask_for(const RequestedBytes& bytes, const Requests& requests) {
  switch (bytes.kind) {
    case RequestedBytes::Kind::Constant:
      return std::any_of(bytes.constants.begin(), bytes.constants.end(),
                         [&](uint64_t size) { return requests.has(size); });
    case RequestedBytes::Kind::Linear: {
      if (requests.most < bytes.base) return false;
      const uint64_t n = (requests.most - bytes.base) / bytes.step;
      return (n != 0 || bytes.base != 0) && requests.has(bytes.base + n * bytes.step);
    }
    case RequestedBytes::Kind::Unknown:
      return true;
  }
  return false;
}

}  // namespace

bool covers(const Sizes& sizes, const RequestedBytes& bytes) {
  uint64_t exact = 0;
  uint64_t all = 0;
  uint64_t blocks = 0;
  for (const auto& [size, count] : sizes) {
    blocks += count;
    const bool is_exact = can_ask_for(bytes, requests_for(size, size >= kSmallestMapping));
    const bool leaves_rest =
        size > kLeftOver && can_ask_for(bytes, requests_for(size - kLeftOver, false));
    if (is_exact) exact += count;
    if (is_exact || leaves_rest) all += count;
  }
  return static_cast<double>(all) >= kLeastCovered * static_cast<double>(blocks) &&
         2 * exact >= all;
}

}  // namespace heapscan

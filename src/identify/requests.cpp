#include "identify/requests.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr uint64_t kHeader = 16;
constexpr uint64_t kSmallestUsable = 24;
constexpr uint64_t kRounding = 15;  // of any number of bytes

}  // namespace

Requests requests_for(const Block& block) {
  const uint64_t usable = block.size();
  if (usable <= kSmallestUsable) return {0, usable};
  const bool has_own_mapping = !block.arena().valid() && (usable + kHeader) % kPage == 0;
  const uint64_t slack = has_own_mapping ? kPage - 1 : kRounding;
  return {usable - std::min(usable, slack), usable};
}

}  // namespace heapscan

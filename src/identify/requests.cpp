#include "heapscan/identify/requests.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr uint64_t kHeader = 16;
constexpr uint64_t kSmallestUsable = 24;
constexpr uint64_t kRounding = 15;  // of any number of bytes

}  // namespace

Requests requests_for(uint64_t usable, bool may_be_mapping) {
  if (usable <= kSmallestUsable) return {0, usable};
  const bool is_mapping = may_be_mapping && (usable + kHeader) % kPage == 0;
  const uint64_t slack = is_mapping ? kPage - 1 : kRounding;
  return {usable - std::min(usable, slack), usable};
}

Requests requests_for(const Block& block) {
  return requests_for(block.size(), !block.arena().valid());
}

}  // namespace heapscan

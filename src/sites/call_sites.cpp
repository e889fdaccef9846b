#include "heapscan/sites/call_sites.h"

#include <algorithm>

namespace heapscan {

std::vector<const AllocatorFunction*> CallSites::chain_of(const CallSite& site) const {
  constexpr size_t kDeepestChain = 9;
  std::vector<const AllocatorFunction*> chain{&allocators[site.allocator]};
  while (chain.size() < kDeepestChain && !chain.back()->inner.is_null()) {
    const auto next = std::find_if(
        allocators.begin(), allocators.end(),
        [&](const AllocatorFunction& row) { return row.function == chain.back()->inner; });
    if (next == allocators.end()) break;
    chain.push_back(&*next);
  }
  return chain;
}

}  // namespace heapscan

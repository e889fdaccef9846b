// Which cluster of one look is which of the other.
#pragma once

#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/identify/clusters.h"

namespace heapscan {

struct KindPair {
  ClusterId before;  // none: only after
  ClusterId after;   // none: only before
};

// Blocks that have stayed where they were, as clusters before and after, with their number.
struct Survivors {
  ClusterId before;
  ClusterId after;
  uint64_t blocks = 0;
};

// Every cluster of both looks is in exactly one pair. First those of one id; then those whose
// survivors most agree, for a kind that grows may look different as a whole.
using Fingerprints = Column<ClusterId, uint64_t>;
[[nodiscard]] std::vector<KindPair> match_kinds(const Fingerprints& before,
                                                const Fingerprints& after,
                                                std::vector<Survivors> survivors);

}  // namespace heapscan

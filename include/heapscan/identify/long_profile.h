// Profiles of more than the first bytes, for reports.
#pragma once

#include "heapscan/identify/clusters.h"

namespace heapscan {

// As make_profile(), of the first `limit` bytes.
[[nodiscard]] Profile make_long_profile(const MemoryImage& image, const AddressMap& addresses,
                                        const HeapModel& heap, const Clusters& clusters,
                                        ClusterId id, uint64_t limit);

}  // namespace heapscan

// What the samples of a group agree on, over the first bytes only.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"

namespace heapscan {

// As Profile::fields, up to `limit` bytes.
[[nodiscard]] std::vector<Field> profile_fields(const MemoryImage& image,
                                                const AddressMap& addresses, const HeapModel& heap,
                                                const Clusters& clusters, ClusterId id,
                                                uint64_t limit);

}  // namespace heapscan

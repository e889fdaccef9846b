// What the program is called, for ids that must not be those of other programs.
#pragma once

#include <string_view>
#include <utility>

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/identities.h"
#include "heapscan/image/image.h"

namespace heapscan {

// The file name of the executable, also where that was replaced; empty when there is none.
[[nodiscard]] std::string_view name_of_program(const MemoryImage& image);

// As merge_alike() of identities.h does. Parts of standard containers, which are in every program,
// get fingerprints of this `program`.
[[nodiscard]] std::pair<Clusters, Identities> merge_alike(const HeapModel& heap, Clusters clusters,
                                                          Identities identities,
                                                          std::string_view program);

}  // namespace heapscan

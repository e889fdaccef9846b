// Traces in memory of which code made and holds blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/sites/call_sites.h"

namespace heapscan {

// Where another cluster's blocks point at those of this one.
struct Held {
  ClusterId by;
  uint64_t offset = 0;
};

constexpr uint64_t kMostBytes = 512;  // of a block that are looked at

// For each of the first `count` clusters.
[[nodiscard]] std::vector<std::vector<Held>> find_held(const MemoryImage& image,
                                                       const HeapModel& heap,
                                                       const Clusters& clusters, size_t count);

// Words of all stacks, also below their ends, that point into code; sorted, each once.
[[nodiscard]] std::vector<uint64_t> code_on_stacks(const MemoryImage& image,
                                                   const RuntimeFacts& runtime);

// 1 for each call whose return address lies in a stack, perhaps below its end: it was made not long ago.
[[nodiscard]] std::vector<uint8_t> calls_on_stacks(const MemoryImage& image,
                                                   const RuntimeFacts& runtime,
                                                   const CallSites& sites);

}  // namespace heapscan

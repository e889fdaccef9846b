// What the C library still keeps for threads that have ended. Facts: glibc elf/dl-tls.c (2.17 to
// 2.43), nptl/nptl-stack.c.
#pragma once

#include <span>
#include <vector>

#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// Entries of vectors that are read, of all threads together: in a damaged image very many threads may
// share one long vector.
inline constexpr uint64_t kMostEndedEntries = 1 << 20;
[[nodiscard]] std::vector<EndedStorage> storage_of_ended_threads(
    const MemoryImage& image, std::span<const ThreadArea> threads);

}  // namespace heapscan

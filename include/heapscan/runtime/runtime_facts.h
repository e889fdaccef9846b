// What the C library and the loader know about the process they serve: its threads with their
// memory, and what the loader took for itself.
//
// Made once by find_runtime_facts(), before anybody looks at a heap: nothing here depends on which
// allocator there is.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/note.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/loader_link_maps.h"
#include "heapscan/runtime/module_roles.h"
#include "heapscan/runtime/thread_areas.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// What stays allocated for a thread that has ended, by addresses that malloc returned: its dynamic
// thread vector and the blocks of thread-local storage that this names. The program cannot get at
// them any more.
struct EndedStorage {
  Addr vector;
  uint64_t vector_bytes = 0;  // a smaller block holds no such vector
  std::vector<Addr> blocks;   // as read: some may be no blocks
};

struct RuntimeFacts {
  ModuleRoles roles;
  std::vector<LinkMap> link_maps;   // in the order in which symbols are looked up
  std::vector<ThreadArea> threads;  // see thread_areas.h for their order
  // What the dynamic loader took before malloc existed: link maps, the first thread's TLS and DTV.
  std::vector<AddrRange> loader_memory;  // sorted, disjoint, page multiples
  std::vector<EndedStorage> ended_storage;
  Notes notes;
};

[[nodiscard]] RuntimeFacts find_runtime_facts(const MemoryImage& image, const Symbols& symbols);

// The mappings of threads' stacks, guards and descriptors included. Sorted, disjoint, whole pages.
[[nodiscard]] std::vector<AddrRange> thread_stacks(const MemoryImage& image,
                                                   const RuntimeFacts& runtime);
// The rest of what threads and the loader have, likewise.
[[nodiscard]] std::vector<AddrRange> thread_and_loader_memory(const RuntimeFacts& runtime);

}  // namespace heapscan

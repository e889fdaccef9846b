// Containers that need no type to be known: each says by its own words what it is, of which blocks
// it is made and how many entries it has.
//
// GLib's hash tables, queues and trees are found by numbers and pointers that go together, its arrays
// by the label that recognisers gave their heads, CPython's dicts, lists and sets by the address of
// their type, open streams of the C library by its list of them. Numbers that contradict the blocks
// are not believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

struct KnownContainer {
  std::string kind;  // "GHashTable", "Python dict", "open FILE"
  std::string name;  // "__main__.sessions", "Server.sessions"; empty: what points to it says where
  // What it is made of, without what it contains. The first is what others point to, where that is
  // a block of its own.
  std::vector<BlockId> blocks;
  std::optional<uint64_t> entries;
  bool stands_alone = false;  // whatever points to it
  Addr at;                    // where it lies, if not in its first block
};

[[nodiscard]] std::vector<KnownContainer> find_glib_containers(const MemoryImage& image,
                                                               const Symbols& symbols,
                                                               const HeapModel& heap,
                                                               const Clusters& clusters,
                                                               const Identities& identities);

// Those whose elements lie in blocks of malloc; small dicts have theirs in Python's own arenas.
[[nodiscard]] std::vector<KnownContainer> find_python_containers(const MemoryImage& image,
                                                                 const Symbols& symbols,
                                                                 const HeapModel& heap);

// Streams that fopen() and the like have made, each with its buffer.
[[nodiscard]] std::vector<KnownContainer> find_open_files(const MemoryImage& image,
                                                          const Symbols& symbols,
                                                          const HeapModel& heap);

// What std::pmr::monotonic_buffer_resource and unsynchronized_pool_resource have taken.
[[nodiscard]] std::vector<KnownContainer> find_memory_resources(const MemoryImage& image,
                                                                const Symbols& symbols,
                                                                const HeapModel& heap);

// The variable of a module in which `at` lies; empty: no symbol says.
[[nodiscard]] std::string name_of_variable(const Symbols& symbols, Addr at);

}  // namespace heapscan

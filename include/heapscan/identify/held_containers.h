// Containers: which of the live blocks are theirs, and how many entries each has.
//
// Made by find_held_containers() for a tree of retained memory. Standard containers of C++ and its
// memory resources lie in variables, in blocks of known types, and in the nodes and elements of other
// containers; they are found by the type that debug information gives, and their words are read as
// libstdc++ lays them out. GLib's, CPython's and the C library's streams are told by their own words.
// What contradicts itself has no entries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/root_groups.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/live_graph.h"
#include "heapscan/reach/retained.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

// A container in every object of one type, or in one variable.
struct TypedContainer {
  uint64_t offset = 0;  // in the object
  TypeId type;          // "std::map<int, Session>"
  std::string
      member;  // "sessions", "table.slots", "shards[].free"; empty: the object is the container
  // Of a member of an array's elements: one in each of them, so many bytes apart.
  uint64_t count = 1;
  uint64_t stride = 0;
  bool is_nested = false;  // an array of arrays
};

struct HeldContainers {
  struct Instance {
    uint32_t place = 0;  // index into `places`
    std::optional<uint64_t> entries;
    std::optional<uint64_t> element = {};  // of the one array in which the place lies, if it is one
  };
  struct Place {
    TypeId owner;  // whose member it is; none: unknown
    TypedContainer container;
    // "GHashTable", where the container has no type, or is nothing but memory: then the blocks that
    // belong to it are what it is made of, and not what it contains. Empty otherwise.
    std::string kind = {};
    std::string name = {};  // of one that has a name of its own
    [[nodiscard]] bool is_its_blocks() const { return !kind.empty(); }
  };
  std::vector<Place> places;
  std::vector<Instance> instances;
  // One per row of the tree: 1 + the index of the instance to which the row's block belongs, which
  // lies in what the row hangs below; 0: none.
  std::vector<uint32_t> of_row;
};

[[nodiscard]] HeldContainers find_held_containers(const MemoryImage& image, const Symbols& symbols,
                                                  const HeapModel& heap, const Types& types,
                                                  const Clusters& clusters,
                                                  const Identities& identities,
                                                  const NamedRoots& roots, const LiveGraph& graph,
                                                  const Retained& retained);

}  // namespace heapscan

// Standard containers of C++ that lie in variables and in blocks of known types: which of the blocks
// below those are theirs, and how many entries each has.
//
// Made by find_held_containers() for a tree of retained memory. A container is found by the type that
// debug information gives, and its words are read as libstdc++ lays them out; what contradicts itself
// has no entries. Containers inside other containers' nodes and elements are not looked for, unless
// those have a type of their own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/identities.h"
#include "heapscan/identify/root_groups.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/live_graph.h"
#include "heapscan/reach/retained.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

// A container in every object of one type, or in one variable.
struct TypedContainer {
  uint64_t offset = 0;  // in the object
  TypeId type;          // "std::map<int, Session>"
  std::string member;   // "sessions", "table.slots"; empty: the object is the container
};

// Those in objects of `type`, by offset, at most kMostContainers.
[[nodiscard]] std::vector<TypedContainer> containers_in(const Types& types, TypeId type);
constexpr size_t kMostContainers = 64;

// How many entries the container of `type` at `at` has.
[[nodiscard]] std::optional<uint64_t> entries_of(const MemoryImage& image, const HeapModel& heap,
                                                 const Types& types, TypeId type, Addr at);

struct HeldContainers {
  struct Instance {
    uint32_t place = 0;  // index into `places`
    std::optional<uint64_t> entries;
  };
  struct Place {
    TypeId owner;  // whose member it is
    TypedContainer container;
  };
  std::vector<Place> places;
  std::vector<Instance> instances;
  // One per row of the tree: 1 + the index of the instance to which the row's block belongs, which
  // lies in what the row hangs below; 0: none.
  std::vector<uint32_t> of_row;
};

[[nodiscard]] HeldContainers find_held_containers(const MemoryImage& image, const HeapModel& heap,
                                                  const Types& types, const Clusters& clusters,
                                                  const Identities& identities,
                                                  const NamedRoots& roots, const LiveGraph& graph,
                                                  const Retained& retained);

}  // namespace heapscan

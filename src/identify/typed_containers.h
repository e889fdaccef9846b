// Standard containers of C++ by their types: where objects have some, how many entries one has, and
// what its nodes and elements are.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/held_containers.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

// Those in objects of `type`, by offset, at most kMostContainers.
[[nodiscard]] std::vector<TypedContainer> containers_in(const Types& types, TypeId type);
inline constexpr size_t kMostContainers = 64;

// How many entries the container of `type` at `at` has.
[[nodiscard]] std::optional<uint64_t> entries_of(const MemoryImage& image, const HeapModel& heap,
                                                 const Types& types, TypeId type, Addr at);

struct ContainerContent {
  TypeId value;         // a record with a size
  uint64_t offset = 0;  // of the value in a node
  bool is_array = false;
};

// Nothing for what is no container, and for one of numbers and pointers.
[[nodiscard]] std::optional<ContainerContent> content_of_container(const Types& types,
                                                                   TypeId container);

}  // namespace heapscan

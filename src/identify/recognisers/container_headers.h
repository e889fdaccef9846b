// Objects of the standard containers, told by their own invariants, wherever they lie: in a block,
// in module data, on a stack.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/bytes.h"
#include "identify/inputs.h"

namespace heapscan {

// What a container made a block for. Of a block that may be several, the first counts: an empty
// deque's chunk may look like a vector's elements, whose three pointers prove least.
enum class ContainerPart : uint8_t {
  Text,        // of std::string
  TreeNode,    // of std::map, set and their multi-forms
  ListNode,    // of std::list
  HashNode,    // of std::unordered_map and the like
  Buckets,     // likewise
  DequeMap,    // the array of chunks of std::deque
  DequeChunk,  // one of them
  Elements,    // of std::vector
  Functor,     // what a std::function calls
};
constexpr size_t kContainerParts = static_cast<size_t>(ContainerPart::Functor) + 1;

struct OwnedPart {
  ContainerPart part = ContainerPart::Text;
  BlockId block;
  std::string type = {};  // of Functor: its class
};

inline constexpr uint64_t kLargestContainer = 80;  // bytes of the object itself

// How far nodes are followed. A list that is longer is judged by what was seen.
struct ContainerWalk {
  uint64_t walked = 2048;   // nodes of one container
  uint64_t told = 32;       // of them, those that are told of
  uint64_t left = 1 << 16;  // nodes of all containers; goes down with each that is looked at
  [[nodiscard]] static constexpr ContainerWalk whole() { return {1 << 20, 1 << 20, 1 << 22}; }
};

// The blocks owned by the container that begins at `at`; `bytes` are those there. Empty when it is
// none, or has no blocks.
[[nodiscard]] std::vector<OwnedPart> parts_of_container(const FamilyInputs& inputs, Addr at,
                                                        Bytes bytes, ContainerWalk& walk);

// Whether a block is a node that is tied to its neighbours as such nodes are: a tree's or a list's.
[[nodiscard]] bool is_linked_tree_node(const MemoryImage& image, Addr node);
[[nodiscard]] bool is_linked_list_node(const MemoryImage& image, Addr node);

}  // namespace heapscan

// Standard containers, told by their own invariants.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/bytes.h"
#include "identify/inputs.h"

namespace heapscan {

// ---- their objects ------------------------------------------------------------------------------

// Objects of the standard containers, told by their own invariants, wherever they lie: in a block,
// in module data, on a stack.

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

// ---- which blocks of each family belong to standard containers, and where those lie -------------

// Where a container lies: at `offset` in the blocks of a family; or, without an owner, at `root`,
// in the variable of that name where it has one.
struct ContainerPlace {
  FamilyId owner = {};
  uint64_t offset = 0;
  Addr root = {};
  std::string variable = {};
  auto operator<=>(const ContainerPlace&) const = default;
};

// What was found about the blocks of one family.
struct ContainerClaims {
  ContainerPart part = ContainerPart::Text;   // what most of the family's samples are
  uint32_t proven = 0;                        // samples that are: a container found has them
  std::map<ContainerPlace, uint32_t> places;  // of those
  std::map<std::string, uint32_t> types;      // of Functor, as often as one was met
};

// What one block is to the container that owns it.
struct ContainerMember {
  ContainerPart part = ContainerPart::Text;
  uint32_t place = 0;  // index into ContainerSearch::places
};

struct ContainerSearch {
  bool is_cpp = false;  // the program has a C++ library or objects with vtables
  Column<FamilyId, ContainerClaims> claims;
  std::vector<ContainerPlace> places;  // sorted
  // One per entry of Families::blocks: 0 when no container owns it.
  std::vector<uint32_t> codes;

  [[nodiscard]] ContainerMember member(uint32_t code) const {
    const auto count = static_cast<uint32_t>(places.size());
    return {static_cast<ContainerPart>((code - 1) / count), (code - 1) % count};
  }
};

// Finds nothing in programs that are not C++: C has structs that look like containers.
// `may_own` says of each family whether containers are looked for in its blocks.
[[nodiscard]] ContainerSearch search_containers(const FamilyInputs& inputs,
                                                const Column<FamilyId, uint8_t>& may_own);

}  // namespace heapscan

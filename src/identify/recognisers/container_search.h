// Which blocks of each family belong to standard containers, and where those lie.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "identify/inputs.h"
#include "identify/recognisers/container_headers.h"

namespace heapscan {

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

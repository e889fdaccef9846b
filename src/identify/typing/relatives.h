// Types that belong together.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "heapscan/symbols/types.h"
#include "identify/typing/layout.h"
#include "identify/typing/word_facts.h"

namespace heapscan {

// ---- which hold which ---------------------------------------------------------------------------

// Which types hold which, and which begin with the same members: found from the part outwards, the
// way C programs go from a list's link or an object's header to the whole.

class Relatives {
 public:
  explicit Relatives(Layouts& layouts) : layouts_(layouts), types_(layouts.types()) {}

  // The structs of which a part of type `part` begins `into` bytes behind their own begin, and for
  // which malloc can have answered with such a block. At most kMostHolding, and none once types
  // made to be expensive have cost kMostSteps.
  [[nodiscard]] std::vector<TypeId> holding(TypeId part, uint64_t into, const Requests& requests);
  // The types that begin with the header, as their first part or by having the same members; at
  // most kMostWithHeader. Of no more than kMostHeaders headers.
  [[nodiscard]] const std::vector<TypeId>& beginning_with(TypeId header);
  // Whether more than one type has members of that type.
  [[nodiscard]] bool is_common_part(TypeId part);
  [[nodiscard]] bool has_header(TypeId type, TypeId header);

  static constexpr size_t kMostHolding = 64;          // so many structs tell nothing
  static constexpr size_t kMostWithHeader = 256;      // of which a tag or the blocks choose
  static constexpr size_t kMostHeaders = 1024;        // that are remembered
  static constexpr uint64_t kMostSteps = 20'000'000;  // a fraction of a second

 private:
  // Where values of a type lie within others.
  struct Embedding {
    TypeId part;
    TypeId outer;
    uint64_t offset = 0;
    uint64_t step = 0;  // of an array: bytes of an element
    uint64_t count = 1;
  };
  void find_embeddings();
  void find_first_names();
  void add_with_same_members(TypeId header, std::vector<TypeId>& found);
  void add_with_part(TypeId header, std::vector<TypeId>& found);
  [[nodiscard]] std::vector<Embedding>::const_iterator first_embedding(TypeId part);

  Layouts& layouts_;
  const Types& types_;
  std::vector<Embedding> embeddings_;  // sorted by part; made when asked for
  bool has_embeddings_ = false;
  std::vector<std::pair<std::string_view, TypeId>> first_names_;  // sorted; of first members
  std::unordered_map<uint32_t, std::vector<TypeId>> beginning_with_;
  uint64_t steps_ = 0;
};

// ---- nodes of containers ------------------------------------------------------------------------

// Which type the nodes of a libstdc++ container have.
//
// Containers name their nodes by pointers to a base that says nothing of the element; what the
// element is stands in the names of the container and of the node. Facts: bits/stl_tree.h,
// stl_list.h, forward_list.h and hashtable_policy.h of GCC 5 and later.

[[nodiscard]] bool is_node_base(std::string_view name);
// Bases, iterators and other inner types of the C++ library, which are only ever parts of others.
[[nodiscard]] bool is_standard_part(std::string_view name);
// Whether pointers to a node's base within a type of that name lead to nodes of one type.
[[nodiscard]] bool knows_its_nodes(std::string_view name);
// The node type of a container or node; none when it is not one, or not described.
[[nodiscard]] TypeId node_type(const Types& types, TypeId container_or_node);

// Nodes keep their element in bytes of no type, whose own name says what they are for.
struct BufferedElement {
  std::string_view name;  // of a struct; empty: it is something else
  int pointers = 0;       // to it
};
[[nodiscard]] BufferedElement buffered_element(std::string_view name);

}  // namespace heapscan

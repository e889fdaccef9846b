// Which type the nodes of a libstdc++ container have.
//
// Containers name their nodes by pointers to a base that says nothing of the element; what the
// element is stands in the names of the container and of the node. Facts: bits/stl_tree.h,
// stl_list.h, forward_list.h and hashtable_policy.h of GCC 5 and later.
#pragma once

#include <string_view>

#include "heapscan/symbols/types.h"

namespace heapscan {

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

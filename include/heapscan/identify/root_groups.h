// Names for what the words of roots belong to: variables, local variables, a thread's stack, its
// registers, what the kernel holds.
#pragma once

#include <string>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/live_graph.h"
#include "heapscan/reach/retained.h"
#include "heapscan/reach/roots.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

struct RootGroup {
  // "sessions", "queue in run_server", "stack", "+0x5040" (of data without a symbol: the offset in
  // its module). Demangled, not escaped.
  std::string name;
  Addr begin;   // of the variable, or of the lowest of its words; null: not in memory
  TypeId type;  // of a variable that debug information describes
};

// A module ("nginx"), a thread ("thread 4711"), "kernel", "dynamic loader".
struct RootOwner {
  std::string name;
};

struct NamedRoots {
  RootGroups groups;
  Column<RootGroupId, RootGroup> rows;
  Column<RootOwnerId, RootOwner> owners;
};

// Groups the root pointers of the graph. Without types, local variables of a stack are one group.
[[nodiscard]] NamedRoots name_roots(const MemoryImage& image, const Symbols& symbols,
                                    const Types& types, const Roots& roots, const LiveGraph& graph);

}  // namespace heapscan

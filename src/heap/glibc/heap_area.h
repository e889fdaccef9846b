// A stretch of memory that one arena parcels out, before it is walked.
#pragma once

#include <cstdint>
#include <vector>

#include "heapscan/base/addr.h"

namespace heapscan::glibc {

struct HeapArea {
  AddrRange range;       // from the first chunk to the end of what the arena uses
  uint32_t arena = 0;    // index into the arenas found
  bool is_main = false;  // of a main arena: its chunks do not carry kNonMainArena
  Addr top;              // null: the arena's top chunk lies elsewhere
};

}  // namespace heapscan::glibc

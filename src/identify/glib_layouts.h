// GLib's containers as they lie in memory.
//
// Sources: GLib glib/ghash.c (gint sizes until 2.58, gsize since), glib/glist.h, gslist.h, gqueue.h
// and glib/gtree.c.
#pragma once

#include <array>
#include <cstdint>

#include "heapscan/base/bytes.h"

namespace heapscan {

// GHashTable: {size, modulus, mask, nodes, nodes with tombstones, keys, hashes, values, function
// that hashes, one that compares, references, ...}.
struct GlibTable {
  uint64_t modulus;    // the mask follows, then nodes and nodes with tombstones
  uint64_t keys;       // hashes and values follow; a set's values are its keys
  uint64_t functions;  // two of them, then the references
  uint64_t bytes;      // of the struct
};
inline constexpr GlibTable kGlibTable{8, 32, 56, 88};
inline constexpr GlibTable kGlibTableUntil258{4, 24, 48, 80};

// Whether the numbers at the begin go together as in no other struct: a power of two, its prime and
// mask, and no more nodes than places. `head` has the struct's bytes at least.
[[nodiscard]] bool is_glib_table_head(Bytes head, const GlibTable& layout);

// GList and GSList: {data, next, previous}, {data, next}.
struct GlibList {
  static constexpr uint64_t kNext = 8;
  static constexpr uint64_t kPrevious = 16;
  static constexpr uint64_t kBytes = 24;
  static constexpr uint64_t kBytesSingle = 16;
};

// GQueue: {first node, last node, length as 32 bits}.
struct GlibQueue {
  static constexpr uint64_t kLast = 8;
  static constexpr uint64_t kLength = 16;
  static constexpr uint64_t kBytes = 24;
};

// GTree: {root, function that compares, two that free, their data, nodes and references as 32 bits}.
struct GlibTree {
  static constexpr uint64_t kFunctions = 8;
  static constexpr uint64_t kNodes = 40;
  static constexpr uint64_t kReferences = 44;
  static constexpr uint64_t kBytes = 48;
};

// Its node: {key, value, left, right, balance, whether left and right are children and not just
// neighbours}.
struct GlibTreeNode {
  static constexpr uint64_t kLeft = 16;
  static constexpr uint64_t kRight = 24;
  static constexpr uint64_t kBalance = 32;
  static constexpr uint64_t kHasLeft = 33;
  static constexpr uint64_t kHasRight = 34;
  static constexpr uint64_t kBytes = 40;
};

}  // namespace heapscan

// From groups of blocks to families: what a group looks like to somebody who sees another run of the
// program, and groups that look the same.
#pragma once

#include <span>
#include <vector>

#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/families.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// `group_of` has one entry per block, `shapes` one per group. One row per group, in their order,
// without a portrait.
[[nodiscard]] Families rows_of_groups(const HeapModel& heap, std::vector<BlockId> blocks,
                                      std::span<const uint32_t> group_of,
                                      std::span<const Shape> shapes);

// Sets the portraits of all rows; their samples must be chosen.
void draw_portraits(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
                    const HeapModel& heap, Families& groups);

// Of two tables that have no block in common: the rows of `a`, then those of `b`.
[[nodiscard]] Families join_groups(Families a, Families b);

// Groups with one portrait become one family, and families are put in order.
[[nodiscard]] Families unite_equal(const HeapModel& heap, Families groups);

}  // namespace heapscan

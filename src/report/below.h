// What hangs below lost blocks and what they hang below, out of the folded trees.
#pragma once

#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/report.h"
#include "report/groups.h"

namespace heapscan {

// Fills in below, below_left_out and below_line of a group of heads. Nothing where the trees tell
// of other blocks than the group does: some of them are suppressed, or not of the sizes asked for.
void describe_below(const Analysis& analysis, const BlockGroup& from, LeakGroup& group);

// Most blocks first.
[[nodiscard]] std::vector<Relation> parents_of(const Analysis& analysis, ClusterId cluster);
[[nodiscard]] std::vector<Relation> children_of(const Analysis& analysis, ClusterId cluster);

// "struct session (+0x18)".
[[nodiscard]] std::string spelled_parent(const Relation& parent);

}  // namespace heapscan

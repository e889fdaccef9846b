// Trees of memory in the form in which pages draw them and lines for flame graphs list them.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "heapscan/report/holds.h"
#include "heapscan/report/report.h"
#include "heapscan/report/trace.h"

namespace heapscan {

struct TreeRow {
  static constexpr size_t kNoParent = ~size_t{0};
  size_t parent = kNoParent;  // index; parents come first
  std::string name;
  std::string kind;  // "owner", "root", "blocks", "leaked", ...; what it is coloured by
  std::string more;  // a word on what it is: a type, an example; may be empty
  VerdictTotal total;
  std::string cluster;  // the id of a group; empty: none
  Addr address;         // of an example block, or a variable; null: none
};
using TreeRows = std::vector<TreeRow>;

// Who holds the live memory; beside it, what is leaked and what hangs below it. `holds` may be null. Empty where
// there is neither.
[[nodiscard]] TreeRows tree_of_memory(const Report& report, const HoldsReport* holds);
[[nodiscard]] TreeRows tree_of_holds(const HoldsReport& holds);

// Module, function, line, group: which code allocated what the groups are made of, where a call is likelier than all
// others together. Empty where none is.
[[nodiscard]] TreeRows tree_of_sites(const Report& report);

// Functions, outermost first, and below the innermost one the group that its lost blocks are in.
[[nodiscard]] TreeRows tree_of_stacks(const TraceReport& report, TraceWeight weight);

// What formats for other programs have of a look: the code, where it is known, else what is leaked and what hangs
// below it.
[[nodiscard]] TreeRows tree_of_groups(const Report& report);

// What the row itself has beside the rows below it.
[[nodiscard]] std::vector<VerdictTotal> own_totals(const TreeRows& rows);

// "main;serve;session_new 1320000" for each row that has bytes of its own; bytes.
void write_folded(const TreeRows& rows, std::ostream& out);

[[nodiscard]] nlohmann::ordered_json json_of_tree(const TreeRows& rows);

}  // namespace heapscan

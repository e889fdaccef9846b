#include "report/tree_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <utility>

#include "heapscan/base/text.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

size_t add(TreeRows& rows, TreeRow row) {
  rows.push_back(std::move(row));
  return rows.size() - 1;
}

constexpr size_t kMostLeaksDrawn = 200;
constexpr size_t kMostStacksDrawn = 500;

void add_to(VerdictTotal& sum, const VerdictTotal& part) {
  sum.blocks += part.blocks;
  sum.bytes += part.bytes;
}

VerdictTotal with_indirect(const LeakGroup& group) {
  return {group.blocks + group.indirect.blocks, group.bytes + group.indirect.bytes};
}

bool is_leak(const LeakGroup& group) { return group.verdict == Verdict::Definite; }

std::string more_of(const HoldsRow& row) {
  std::string more = row.kind == RetainedNode::Kind::Container ? "" : row.type;
  if (row.entries)
    more += fmt::format("{}{} {}", more.empty() ? "" : ", ", grouped(*row.entries),
                        *row.entries == 1 ? "entry" : "entries");
  return more;
}

std::string name_of_row(const HoldsRow& row) {
  if (row.kind != RetainedNode::Kind::Container) return row.name;
  return row.name.empty() ? row.type : row.type + " in " + row.name;
}

void add_holds(const HoldsReport& holds, size_t below, TreeRows& rows) {
  const size_t first = rows.size();
  for (const HoldsRow& row : holds.rows) {
    const size_t parent = row.parent == HoldsRow::kNoParent ? below : first + row.parent;
    rows.push_back({parent, name_of_row(row), name_of_kind(row.kind), more_of(row), row.retained,
                    row.cluster, row.address});
  }
}

// Below a group of heads: kinds of blocks, in the order of BelowRow.
void add_leak(const LeakGroup& group, size_t below, TreeRows& rows) {
  const size_t top = add(rows, {below, group.label, "leaked", spelled_sizes(group.sizes),
                                with_indirect(group), group.id, group.example});
  const size_t first = rows.size();
  for (const BelowRow& row : group.below) {
    const size_t parent = row.parent == BelowRow::kNoParent ? top : first + row.parent;
    rows.push_back({parent, row.label, "leaked", "", {row.blocks, row.bytes}, row.cluster, Addr()});
  }
  // A row of kinds below has what is of that kind alone; what hangs below it comes on top.
  for (size_t i = rows.size(); i-- > first;) {
    if (rows[i].parent == top) continue;
    add_to(rows[rows[i].parent].total, rows[i].total);
  }
}

using RowsByName = std::map<std::pair<size_t, std::string>, size_t>;  // of a parent

size_t child_called(TreeRows& rows, RowsByName& known, size_t parent, const std::string& name,
                    const char* kind) {
  const auto [at, is_new] = known.try_emplace({parent, name}, rows.size());
  if (is_new) add(rows, {parent, name, kind, "", {}, "", Addr()});
  return at->second;
}

// A path of names; its separator occurs in none of them.
std::string path_of(const TreeRows& rows, size_t at) {
  std::string name = rows[at].name;
  std::replace(name.begin(), name.end(), ';', ':');
  if (rows[at].parent == TreeRow::kNoParent) return name;
  return path_of(rows, rows[at].parent) + ";" + name;
}

}  // namespace

TreeRows tree_of_holds(const HoldsReport& holds) {
  TreeRows rows;
  add_holds(holds, TreeRow::kNoParent, rows);
  return rows;
}

TreeRows tree_of_memory(const Report& report, const HoldsReport* holds) {
  TreeRows rows;
  const bool has_leaks = std::any_of(report.leaks.begin(), report.leaks.end(), is_leak);
  const bool has_holds = holds != nullptr && !holds->rows.empty();
  if (!has_leaks) return has_holds ? tree_of_holds(*holds) : rows;
  const size_t whole = add(rows, {TreeRow::kNoParent, "all blocks", "whole", "", {}, "", Addr()});
  if (has_holds) {
    add_holds(*holds, whole, rows);
    rows[whole + 1].name = "reachable";
    rows[whole].total = rows[whole + 1].total;
  }
  const size_t leaked = add(rows, {whole, "leaked", "leaked", "", {}, "", Addr()});
  VerdictTotal rest;
  size_t drawn = 0;
  for (const LeakGroup& group : report.leaks) {
    if (!is_leak(group)) continue;
    const VerdictTotal total = with_indirect(group);
    add_to(rows[leaked].total, total);
    if (drawn < kMostLeaksDrawn) {
      add_leak(group, leaked, rows);
      ++drawn;
    } else {
      add_to(rest, total);
    }
  }
  if (rest.blocks > 0) add(rows, {leaked, "other groups", "rest", "", rest, "", Addr()});
  add_to(rows[whole].total, rows[leaked].total);
  return rows;
}

TreeRows tree_of_sites(const Report& report) {
  TreeRows rows;
  RowsByName known;
  for (const LeakGroup& group : report.leaks) {
    if (!group.sites.is_answered) continue;
    const SiteRow& site = group.sites.rows.front();
    if (rows.empty()) add(rows, {TreeRow::kNoParent, "all groups", "whole", "", {}, "", Addr()});
    const size_t module = child_called(rows, known, 0, site.module, "owner");
    const size_t place = child_called(rows, known, module, site.place(), "site");
    rows[place].more = site.callee;
    add(rows, {place,
               group.label,
               is_leak(group) ? "leaked" : "blocks",
               name_of(group.verdict),
               {group.blocks, group.bytes},
               group.id,
               group.example});
    for (const size_t above : {size_t{0}, module, place})
      add_to(rows[above].total, {group.blocks, group.bytes});
  }
  return rows;
}

TreeRows tree_of_stacks(const TraceReport& report, TraceWeight weight) {
  TreeRows rows;
  add(rows, {TreeRow::kNoParent, "all stacks", "whole", "", {}, "", Addr()});
  RowsByName known;
  VerdictTotal rest;
  size_t drawn = 0;
  for (const TraceRow& row : report.rows) {
    const StateTotal counted_blocks = weigh(row, weight);
    const VerdictTotal total{counted_blocks.blocks, counted_blocks.bytes};
    if (total.bytes == 0) continue;
    add_to(rows.front().total, total);
    if (++drawn > kMostStacksDrawn) {
      add_to(rest, total);
      continue;
    }
    size_t at = 0;
    for (const std::string& name : names_of_frames(report, row)) {
      at = child_called(rows, known, at, name, "site");
      add_to(rows[at].total, total);
    }
    if (rows[at].more.empty()) rows[at].more = row.label;
  }
  if (rest.blocks > 0) add(rows, {0, "other stacks", "rest", "", rest, "", Addr()});
  return rows;
}

TreeRows tree_of_groups(const Report& report) {
  TreeRows sites = tree_of_sites(report);
  return sites.empty() ? tree_of_memory(report, nullptr) : sites;
}

std::vector<VerdictTotal> own_totals(const TreeRows& rows) {
  std::vector<VerdictTotal> own(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) own[i] = rows[i].total;
  for (const TreeRow& row : rows) {
    if (row.parent == TreeRow::kNoParent) continue;
    VerdictTotal& above = own[row.parent];
    above.blocks -= std::min(above.blocks, row.total.blocks);
    above.bytes -= std::min(above.bytes, row.total.bytes);
  }
  return own;
}

void write_folded(const TreeRows& rows, std::ostream& out) {
  const std::vector<VerdictTotal> own = own_totals(rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (own[i].bytes > 0) out << fmt::format("{} {}\n", path_of(rows, i), own[i].bytes);
  }
}

Json json_of_tree(const TreeRows& rows) {
  Json list = Json::array();
  for (const TreeRow& row : rows) {
    list.push_back({{"parent", row.parent == TreeRow::kNoParent ? Json(nullptr) : Json(row.parent)},
                    {"name", row.name},
                    {"kind", row.kind},
                    {"more", row.more},
                    {"blocks", row.total.blocks},
                    {"bytes", row.total.bytes},
                    {"cluster", row.cluster},
                    {"address", row.address.is_null() ? Json("") : Json(hex(row.address))}});
  }
  return list;
}

}  // namespace heapscan

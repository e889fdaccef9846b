#include "heapscan/report/holds.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/identify/glib_slices.h"
#include "heapscan/identify/held_containers.h"
#include "heapscan/identify/row_links.h"
#include "heapscan/report/names.h"
#include "report/describe_parts.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

constexpr uint64_t kHundred = 100;  // a holder of less than one part of it is not told of
constexpr size_t kLongestHolderName = 60;
constexpr size_t kLongestSharedLabel = 40;  // behind it stands who shares them
constexpr uint64_t kShortestList = 8;       // blocks

bool is_mapping(const Analysis& analysis, BlockId block) {
  return analysis.heap.block(block).state() == BlockState::Mapping;
}

std::string name_of_shared(const Analysis& analysis, BlockId block, uint64_t alike) {
  if (is_mapping(analysis, block)) return counted(alike, "anonymous mapping");
  const ClusterId cluster = analysis.clusters.of(block);
  return fmt::format("{}{}{}", counted(alike, "block"), cluster.valid() ? ", " : " of ",
                     cluster.valid() ? shortened(label_of(analysis, cluster), kLongestSharedLabel)
                                     : human_bytes(analysis.heap.block(block).size()));
}

std::string type_of_group(const Analysis& analysis, const NamedRoots& roots, RootGroupId group) {
  const TypeId type = roots.rows[group].type;
  return type.valid() ? escaped(analysis.types.spelled(type)) : "";
}

uint64_t possible_bytes(const Analysis& analysis) {
  const auto possible = static_cast<size_t>(Verdict::Possible);
  return analysis.reach.totals[possible].bytes + analysis.reach.mapping_totals[possible].bytes;
}

// ---- rows ---------------------------------------------------------------------------------------

class HoldsDescriber {
 public:
  explicit HoldsDescriber(const Analysis& analysis)
      : analysis_(analysis), holding_(*analysis.holding), containers_(holding_.containers) {}

  [[nodiscard]] HoldsRow row_of(const RetainedNode& node) const {
    HoldsRow row;
    row.parent = node.parent;
    row.kind = node.kind;
    row.own = {node.blocks, node.bytes};
    row.retained = {node.retained_blocks, node.retained_bytes};
    // What is only possibly reachable, all of it, must be enough to be seen in the figure.
    row.is_least = node.is_least && 100 * possible_bytes(analysis_) >= node.retained_bytes;
    row.repeats = node.repeats;
    if (node.place != RetainedNode::kNoPlace) {
      row.containers = node.containers;
      if (node.knows_entries) row.entries = node.entries;
      row.largest = largest_of(node.place, node.largest, row.entries);
    }
    name(node, row);
    return row;
  }

  // Of containers below what the holder is.
  [[nodiscard]] HoldsRow row_of(const HeldShare& share, RetainedRow holder) const {
    HoldsRow above;
    if (const RootGroupId group = holding_.retained.group(holder); group.valid()) {
      above.kind = RetainedNode::Kind::Group;
      above.name = name_of_group(holding_.roots, group);
    }
    HoldsRow row;
    row.kind = RetainedNode::Kind::Container;
    row.containers = share.containers;
    row.entries = share.entries;
    row.largest = largest_of(share.place, share.largest, share.entries);
    const HeldContainers::Place& place = containers_.places[share.place];
    if (!place.is_its_blocks() && place.container.member.empty()) {
      row.type = escaped(analysis_.types.spelled(place.container.type));  // what holds it, itself
    } else {
      RetainedNode node;
      node.place = share.place;
      name_container(node, above, row);
    }
    return row;
  }

  // "std::map<int, Session> in Server::sessions", or of a variable, "in server.sessions".
  void name_container(const RetainedNode& node, const HoldsRow& above, HoldsRow& row) const {
    const HeldContainers::Place& place = containers_.places[node.place];
    if (place.is_its_blocks()) {
      row.type = escaped(place.kind);
      row.name = place.name.empty() ? name_of_pointer(place) : escaped(place.name);
      return;
    }
    // A variable of its own, a member, a value of a container, a value's member.
    const std::string member = escaped(place.container.member);
    if (above.kind == RetainedNode::Kind::Blocks && is_value(place)) {
      row.type = escaped(analysis_.types.spelled(place.container.type));
      row.name = name_in_values(member);
      return;
    }
    const std::string owner =
        above.kind == RetainedNode::Kind::Group
            ? above.name + (member.starts_with('[') ? "" : ".")
            : without_keyword(escaped(analysis_.types.spelled(place.owner))) + "::";
    row.type = escaped(analysis_.types.spelled(place.container.type));
    row.name = owner + member;
  }

  // What makes the blocks of the row a list or a tree. `above`: what they hang below.
  void name_links(const RetainedNode& node, const HoldsRow& above, HoldsRow& row) const {
    if (node.kind != RetainedNode::Kind::Blocks || !node.cluster.valid() ||
        node.blocks < kShortestList)
      return;
    const std::string& label = analysis_.identities.rows[node.cluster].label;
    if (label.starts_with("node of std::")) return;  // its container says so
    if (label == kSlicePage) return;                 // its pieces have pointers, not it
    const RowLinks links = find_row_links(analysis_.image, analysis_.heap, analysis_.reach,
                                          analysis_.clusters, node.cluster);
    if (!node.repeats && !links.leads_back) return;
    const TypeId type = analysis_.identities.rows[node.cluster].type;
    const uint64_t size = analysis_.heap.block(node.example).size();
    for (const uint64_t offset : links.offsets) {
      std::string name = escaped(name_member(analysis_.types, type, size, offset).name);
      if (name.empty()) name = name_of_library_link(label, offset);
      row.links.push_back(name.empty() ? fmt::format("+{:#x}", offset) : std::move(name));
    }
    row.is_tree = links.is_tree;
    const bool is_below_one = above.kind != RetainedNode::Kind::Blocks || above.own.blocks == 1;
    row.is_one_list = is_below_one && (links.leads_back || node.tops == 1);
  }

 private:
  [[nodiscard]] std::optional<LargestContainer> largest_of(
      uint32_t place, const LargestContainer& largest,
      const std::optional<uint64_t>& entries) const {
    const bool is_array = containers_.places[place].container.count > 1;
    if (!is_array || !entries || largest.entries == 0 || 2 * largest.entries < *entries)
      return std::nullopt;
    return largest;
  }

  // Where the pointer to it lies, if that has a name: "server::seen".
  [[nodiscard]] std::string name_of_pointer(const HeldContainers::Place& place) const {
    if (!place.owner.valid()) return "";
    const std::string member =
        name_member(analysis_.types, place.owner, analysis_.types.type(place.owner).size,
                    place.container.offset)
            .name;
    if (member.empty()) return "";
    return without_keyword(escaped(analysis_.types.spelled(place.owner))) + "::" + escaped(member);
  }

  [[nodiscard]] bool is_value(const HeldContainers::Place& place) const {
    return place.container.member.empty() ||
           analysis_.types.type(place.owner).name.starts_with("std::pair<");
  }
  static std::string name_in_values(const std::string& member) {
    if (member.empty()) return "elements";
    for (const auto& [part, name] : {std::pair("first", "keys"), std::pair("second", "values")}) {
      if (member == part) return name;
      if (member.starts_with(std::string(part) + "."))
        return name + member.substr(std::string(part).size());
    }
    return member;
  }

  void name(const RetainedNode& node, HoldsRow& row) const {
    switch (node.kind) {
      case RetainedNode::Kind::Whole:
        row.name = "everything";
        break;
      case RetainedNode::Kind::Owner:
        row.name = name_of_owner(holding_.roots, node.owner);
        break;
      case RetainedNode::Kind::Group:
        row.name = name_of_group(holding_.roots, node.group);
        row.type = type_of_group(analysis_, holding_.roots, node.group);
        row.address = holding_.roots.rows[node.group].begin;
        break;
      case RetainedNode::Kind::Shared:
        row.name = "shared by several of these";
        break;
      case RetainedNode::Kind::Blocks:
        row.name = node.cluster.valid()                  ? label_of(analysis_, node.cluster)
                   : is_mapping(analysis_, node.example) ? name_of_mappings(node)
                                                         : "block without a group";
        if (node.cluster.valid()) row.cluster = id_of(analysis_, node.cluster);
        row.address = analysis_.heap.block(node.example).begin();
        break;
      case RetainedNode::Kind::Unexplained:
        row.name = "by rules, not by single pointers";
        break;
      case RetainedNode::Kind::Rest:
        row.name = "others";
        break;
      case RetainedNode::Kind::Container:
        break;  // name_container()
    }
  }

  // The example is the one that retains most.
  [[nodiscard]] std::string name_of_mappings(const RetainedNode& node) const {
    const std::string kind =
        kind_of_mapping(analysis_.image, analysis_.heap.block(node.example).begin());
    if (kind.empty()) return "anonymous mapping";
    return node.blocks == 1 ? kind : "mapping, such as " + kind;
  }

  static std::string without_keyword(std::string type) {
    for (const std::string_view word : {"struct ", "union "}) {
      if (type.starts_with(word)) return type.substr(word.size());
    }
    return type;
  }

  const Analysis& analysis_;
  const Holding& holding_;
  const HeldContainers& containers_;
};

std::string percent_of(uint64_t bytes, uint64_t all) {
  if (all == 0) return "";
  const double percent = 100.0 * static_cast<double>(bytes) / static_cast<double>(all);
  if (percent >= 0.995) return fmt::format("{:.0f} %", percent);
  return bytes == 0 ? "0 %" : "< 1 %";
}

// "list of struct job through next: 41,220 entries".
std::string name_of_blocks(const HoldsRow& row, const std::string& label) {
  std::string links;
  for (const std::string& link : row.links) links += (links.empty() ? "" : " and ") + link;
  if (row.is_one_list && !links.empty()) {
    return fmt::format("{} of {} through {}: {} entries", row.is_tree ? "tree" : "list", label,
                       links, grouped(row.own.blocks));
  }
  const std::string name = fmt::format("{} × {}", grouped(row.own.blocks), label);
  if (!links.empty())
    return fmt::format("{}, {} through {}", name, row.is_tree ? "trees" : "lists", links);
  return name + (row.repeats ? ", below each other" : "");
}

// "std::map<int, Session> in server.sessions".
std::string name_of_container(const HoldsRow& row) {
  const std::string name = shortened(row.name, kLongestHolderName);
  return shortened(row.type, kLongestHolderName) + (name.empty() ? "" : " in " + name);
}

// "4 × " of several containers.
std::string count_of_containers(const HoldsRow& row) {
  return row.containers > 1 ? grouped(row.containers) + " × " : "";
}

// ": 30,000 entries, 29,990 of them in [2]".
std::string spelled_entries(const HoldsRow& row) {
  if (!row.entries) return "";
  std::string text =
      fmt::format(": {} {}", grouped(*row.entries), *row.entries == 1 ? "entry" : "entries");
  if (row.largest) {
    const bool is_all = row.largest->entries == *row.entries;
    text += fmt::format(", {} in [{}]", is_all ? "all" : grouped(row.largest->entries) + " of them",
                        row.largest->element);
  }
  return text;
}

void write_row(const HoldsReport& report, const HoldsRow& row, std::ostream& out) {
  std::string name = shortened(row.name, kLongestHolderName);
  if (row.kind == RetainedNode::Kind::Blocks) name = name_of_blocks(row, name);
  if (row.kind == RetainedNode::Kind::Container)
    name = count_of_containers(row) + name_of_container(row);
  name += spelled_entries(row);
  if (!row.type.empty() && row.kind != RetainedNode::Kind::Container)
    name += "  " + shortened(row.type, kLongestHolderName);
  if (!row.cluster.empty()) name += "  [" + row.cluster.substr(0, 8) + "]";
  out << fmt::format("{}{:>10} {:>6} {:>11}  {:{}}{}\n", row.is_least ? "≥" : " ",
                     human_bytes(row.retained.bytes),
                     percent_of(row.retained.bytes, report.live.bytes),
                     grouped(row.retained.blocks), "", 2 * row.depth, name);
}

}  // namespace

std::string name_of_group(const NamedRoots& roots, RootGroupId group) {
  return escaped(roots.rows[group].name);
}

std::string name_of_owner(const NamedRoots& roots, RootOwnerId owner) {
  return escaped(roots.owners[owner].name);
}

std::string qualified_name(const NamedRoots& roots, RootGroupId group) {
  return name_of_owner(roots, roots.groups.owner_of[group]) + ": " + name_of_group(roots, group);
}

const char* name_of_kind(RetainedNode::Kind kind) {
  static constexpr std::array<const char*, 8> kNames = {
      "whole", "owner", "root", "shared", "blocks", "unexplained", "rest", "container"};
  return kNames[static_cast<size_t>(kind)];
}

HolderRow::Container describe_container(const Analysis& analysis, RetainedRow holder,
                                        const HeldShare& share) {
  const HoldsRow row = HoldsDescriber(analysis).row_of(share, holder);
  const std::string name = name_of_container(row) + spelled_entries(row);
  return {name, count_of_containers(row) + name, share.bytes, row.containers, row.entries};
}

// What most of the memory below a variable, or below a block that is the only one of its group, consists of:
// the first blocks on the way down that are several, past those that only lead to them.
std::optional<HolderRow::Kind> largest_kind_below(const Analysis& analysis,
                                                  const LargeHolder& holder) {
  constexpr int kDeepestKind = 8;
  const Holding& holding = *analysis.holding;
  FoldOptions options;
  options.depth = kDeepestKind;
  options.most_children = 1;
  options.by.group = holding.retained.group(holder.row);
  if (!options.by.group.valid()) {
    const BlockId block = holding.retained.block(holder.row);
    const ClusterId cluster = block.valid() ? analysis.clusters.of(block) : ClusterId::none();
    if (!cluster.valid() || analysis.clusters.rows[cluster].blocks != 1) return std::nullopt;
    options.by.cluster = cluster;
  }
  const std::vector<RetainedNode> nodes =
      fold_retained(analysis.image, analysis.heap, analysis.clusters, holding.retained, options);
  size_t at = 1;
  while (at < nodes.size() && nodes[at].kind == RetainedNode::Kind::Blocks &&
         nodes[at].parent == at - 1 && nodes[at].blocks == 1)
    ++at;
  if (at >= nodes.size() || nodes[at].kind != RetainedNode::Kind::Blocks ||
      nodes[at].parent != at - 1 || !nodes[at].cluster.valid() ||
      2 * nodes[at].retained_bytes < holder.bytes)
    return std::nullopt;
  const HoldsDescriber describer(analysis);
  HoldsRow row = describer.row_of(nodes[at]);
  describer.name_links(nodes[at], describer.row_of(nodes[at - 1]), row);
  return HolderRow::Kind{row.name, row.cluster,
                         name_of_blocks(row, shortened(row.name, kLongestHolderName)), row.own,
                         row.retained};
}

std::vector<HolderRow> describe_holders(const Analysis& analysis) {
  if (!analysis.holding) return {};
  const Holding& holding = *analysis.holding;
  // Blocks that several roots share are told of only where they are worth it.
  std::vector<LargeHolder> holders = largest_holders(
      analysis.image, analysis.heap, analysis.clusters, holding.retained, Report::kHolders);
  std::erase_if(
      holders, [&](const LargeHolder& h) { return kHundred * h.bytes < holding.retained.bytes(); });
  std::vector<RetainedRow> rows_held;
  for (const LargeHolder& holder : holders) rows_held.push_back(holder.row);
  const auto shares = container_shares(analysis.image, analysis.heap, holding.retained,
                                       holding.containers, rows_held);
  std::vector<HolderRow> rows;
  for (size_t i = 0; i < holders.size(); ++i) {
    const LargeHolder& holder = holders[i];
    rows.push_back({name_of_holder(analysis, holder), {holder.blocks, holder.bytes}});
    if (!shares[i].empty() && 2 * shares[i].front().bytes >= holder.bytes)
      rows.back().container = describe_container(analysis, holder.row, shares[i].front());
    if (analysis.live_are_clustered && !rows.back().container && holder.alike == 1)
      rows.back().kind = largest_kind_below(analysis, holder);
  }
  return rows;
}

std::string name_of_holder(const Analysis& analysis, RetainedRow row) {
  HS_CHECK(analysis.holding.has_value());
  const Holding& holding = *analysis.holding;
  const Retained& retained = holding.retained;
  if (retained.group(row).valid()) return qualified_name(holding.roots, retained.group(row));
  if (retained.owner(row).valid()) return name_of_owner(holding.roots, retained.owner(row));
  const BlockId block = retained.block(row);
  if (!block.valid()) return row == Retained::kWhole ? "several roots" : "unknown";
  const std::string address = hex(analysis.heap.block(block).begin());
  const std::string size = human_bytes(analysis.heap.block(block).size());
  if (is_mapping(analysis, block)) {
    const std::string kind = kind_of_mapping(analysis.image, analysis.heap.block(block).begin());
    return fmt::format("{} {} of {}", kind.empty() ? "mapping" : kind, address, size);
  }
  const ClusterId cluster = analysis.clusters.of(block);
  return fmt::format("{} block {}{}", size, address,
                     cluster.valid() ? ", " + label_of(analysis, cluster) : "");
}

std::string name_of_holder(const Analysis& analysis, const LargeHolder& holder) {
  if (holder.alike == 1) return name_of_holder(analysis, holder.row);
  const Holding& holding = *analysis.holding;
  const BlockId block = holding.retained.block(holder.row);
  const RootOwnerId owner = holding.retained.owner(holding.retained.parent(holder.row));
  return fmt::format(
      "{}, shared by several {}", name_of_shared(analysis, block, holder.alike),
      owner.valid() ? "roots of " + name_of_owner(holding.roots, owner) : "modules or threads");
}

HoldsReport describe_holds(const CaptureFacts& target, const Analysis& analysis,
                           const HoldsOptions& options) {
  HS_CHECK(analysis.holding.has_value());
  const Retained& retained = analysis.holding->retained;
  HoldsReport report{make_frame(target, analysis, options), {}, {}, 0};
  report.live = {retained.blocks(), retained.bytes()};
  const HoldsDescriber describer(analysis);
  for (const RetainedNode& node :
       fold_retained(analysis.image, analysis.heap, analysis.clusters, retained, options.fold,
                     analysis.holding->containers)) {
    HoldsRow row = describer.row_of(node);
    if (node.kind == RetainedNode::Kind::Container)
      describer.name_container(node, report.rows[row.parent], row);
    if (row.parent != HoldsRow::kNoParent) describer.name_links(node, report.rows[row.parent], row);
    if (row.parent != HoldsRow::kNoParent) row.depth = report.rows[row.parent].depth + 1;
    report.left_out += node.kind == RetainedNode::Kind::Rest ? 1 : 0;
    report.rows.push_back(std::move(row));
  }
  return report;
}

void render_text(const HoldsReport& report, bool color, std::ostream& out) {
  const Style style(color);
  write_head(report, style, out);
  out << fmt::format("live        {} in {}\n", human_bytes(report.live.bytes),
                     counted(report.live.blocks, "block"));
  out << "     holds  share      blocks  what is reachable through it alone\n";
  for (const HoldsRow& row : report.rows) write_row(report, row, out);
  if (report.left_out > 0)
    out << fmt::format("  more of each: {} -n 50; deeper: --depth 6\n", report.command);
  write_foot(report, out);
}

void render_json(const HoldsReport& report, std::ostream& out) {
  Json tree = Json::array();
  for (const HoldsRow& row : report.rows) {
    tree.push_back(
        {{"parent", row.parent == HoldsRow::kNoParent ? Json(nullptr) : Json(row.parent)},
         {"kind", name_of_kind(row.kind)},
         {"name", row.name},
         {"type", or_null(row.type)},
         {"cluster", or_null(row.cluster)},
         {"address", row.address.is_null() ? Json(nullptr) : Json(hex(row.address))},
         {"own", json_of(row.own)},
         {"retained", json_of(row.retained)},
         {"at_least", row.is_least},
         {"repeats", row.repeats},
         {"links", row.links},
         {"shape", row.links.empty() ? Json(nullptr) : Json(row.is_tree ? "tree" : "list")},
         {"containers", row.containers == 0 ? Json(nullptr) : Json(row.containers)},
         {"entries", or_null(row.entries)},
         {"largest",
          row.largest ? Json{{"element", row.largest->element}, {"entries", row.largest->entries}}
                      : Json(nullptr)}});
  }
  write_document("heapscan.holds/1", report,
                 {{"live", json_of(report.live)}, {"tree", std::move(tree)}}, out);
}

}  // namespace heapscan

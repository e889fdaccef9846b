// What `heapscan holds` says: the tree of retained memory, by roots and kinds of blocks.
//
// Made by describe_holds(). Every string is escaped.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/identify/held_containers.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/report/answer.h"
#include "heapscan/triage/retained_tree.h"

namespace heapscan {

struct HoldsRow {
  static constexpr uint32_t kNoParent = RetainedNode::kNoParent;
  uint32_t parent = kNoParent;  // index into the rows; parents come first
  int depth = 0;
  RetainedNode::Kind kind = RetainedNode::Kind::Whole;
  std::string name;     // "sessions", "thread 4711", "struct session", "others"
  std::string type;     // of a variable, where it is known; of a container, always
  std::string cluster;  // the id of the blocks' group; empty: they have none
  Addr address;         // of a variable, or the example block; null: none
  VerdictTotal own;     // the blocks that the row stands for
  VerdictTotal retained;
  bool is_least = false;
  bool repeats = false;
  // Of blocks that lead to others of their kind: by which members ("next", "+0x8"), and whether all
  // of the row are one such list or tree.
  std::vector<std::string> links;
  bool is_tree = false;
  bool is_one_list = false;
  uint64_t containers = 0;          // of a row of containers: how many they are
  std::optional<uint64_t> entries;  // of them; also of a variable that is a container
  // Of containers in an array's elements the one that has at least half of the entries.
  std::optional<LargestContainer> largest;
};

struct HoldsReport : AnswerFrame {
  VerdictTotal live;           // everything that is reachable
  std::vector<HoldsRow> rows;  // the whole, or what was asked for, and what it holds
  size_t left_out = 0;         // rows that were folded into "others"
};

struct HoldsOptions : AnswerOptions {
  FoldOptions fold;
};

// Of these three the analysis must hold who holds what.

// What `words` mean: a group's id (or its begin), an owner ("nginx", "thread 4711"), a variable
// ("sessions", "nginx:sessions"). Throws Error (Usage) that lists what comes near.
[[nodiscard]] RetainedBy find_holder(const Analysis& analysis, std::string_view words);

[[nodiscard]] HoldsReport describe_holds(const CaptureFacts& target, const Analysis& analysis,
                                         const HoldsOptions& options);

// "nginx: sessions", "block 0x…, struct session": one row of the dominator tree for people.
[[nodiscard]] std::string name_of_holder(const Analysis& analysis, RetainedRow row);
// "25 blocks of 1.0 MiB, shared by several roots of nginx"
[[nodiscard]] std::string name_of_holder(const Analysis& analysis, const LargeHolder& holder);

void render_text(const HoldsReport& report, bool color, std::ostream& out);
// Schema "heapscan.holds/1" (docs/holds.schema.json).
void render_json(const HoldsReport& report, std::ostream& out);

}  // namespace heapscan

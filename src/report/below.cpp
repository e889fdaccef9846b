#include "report/describe_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kDepthShown = 6;     // of a tree in one line
constexpr size_t kChildrenShown = 3;  // of one node
constexpr size_t kLongestLabel = 40;
constexpr size_t kLongestLine = 120;  // unless even one level takes more

const LeakTree* tree_of(const Analysis& analysis, ClusterId cluster) {
  for (const LeakTree& tree : analysis.forest.trees) {
    if (tree.cluster == cluster) return &tree;
  }
  return nullptr;
}

// Of "node of std::list in Parser at +0x8" what a reader of a tree wants, who sees the Parser
// there.
std::string_view without_place(std::string_view label) {
  const size_t part = label.find(" of std::");
  const size_t place = label.find(" in ", part == std::string_view::npos ? part : part + 1);
  return label.substr(0, place);
}

// A tree in one line: "412 × Parser{vector<Token>{3 × text}}", "15 × struct node (3,183 in all)".
class TreeLine {
 public:
  TreeLine(const Analysis& analysis, const LeakTree& tree)
      : analysis_(analysis),
        tree_(tree),
        children_(tree.nodes.size()),
        below_(tree.nodes.size()),
        states_(tree.nodes.size(), State::Closed) {
    for (size_t i = tree.nodes.size() - 1; i > 0; --i) {
      if (tree.nodes[i].parent >= i) continue;
      children_[tree.nodes[i].parent].push_back(i);
      below_[tree.nodes[i].parent] += below_[i] + tree.nodes[i].bytes;
    }
    for (std::vector<size_t>& children : children_) std::reverse(children.begin(), children.end());
  }

  // What hangs below the first level is shown where it fits, the heaviest first.
  [[nodiscard]] std::string write() {
    states_[0] = State::Open;
    std::string line = spelled_tree();
    while (!closed_.empty()) {
      const size_t heaviest =
          *std::max_element(closed_.begin(), closed_.end(),
                            [this](size_t a, size_t b) { return below_[a] < below_[b]; });
      states_[heaviest] = State::Open;
      std::string longer = spelled_tree();
      if (longer.size() <= kLongestLine) {
        line = std::move(longer);
      } else {
        states_[heaviest] = State::Shut;
        spelled_tree();
      }
    }
    return line;
  }

 private:
  // Whether the children of a node are shown; of what is shut they would not fit.
  enum class State : uint8_t { Closed, Open, Shut };

  // One child, or several without children of their own that have one name.
  struct Part {
    size_t node = 0;
    std::string name;
    uint64_t blocks = 0;
    bool repeats = false;
  };

  [[nodiscard]] Part part_of(size_t node) const {
    const TreeNode& row = tree_.nodes[node];
    const std::string label = label_of(analysis_, row.cluster);
    return {node, shortened(node == 0 ? label : without_place(label), kLongestLabel), row.blocks,
            row.repeats};
  }

  [[nodiscard]] std::vector<Part> parts_below(size_t node) const {
    std::vector<Part> parts;
    for (const size_t child : children_[node]) {
      Part part = part_of(child);
      const auto same = std::find_if(parts.begin(), parts.end(), [&](const Part& other) {
        return other.name == part.name && children_[child].empty() && children_[other.node].empty();
      });
      if (same == parts.end()) {
        parts.push_back(std::move(part));
      } else {
        same->blocks += part.blocks;
        same->repeats = same->repeats || part.repeats;
      }
    }
    return parts;
  }

  // "3 × text" where each of the parents has three of them.
  [[nodiscard]] static std::string spelled(const Part& part, uint64_t parents) {
    if (part.repeats) return fmt::format("{} ({} in all)", part.name, grouped(part.blocks));
    const bool even = parents > 1 && part.blocks % parents == 0;
    const uint64_t each = even ? part.blocks / parents : part.blocks;
    const bool counts = part.node != 0 && each > 1 && (even || parents <= 1);
    return (counts ? grouped(each) + " × " : "") + part.name;
  }

  std::string spelled_tree() {
    closed_.clear();
    return fmt::format("{} × {}{}", grouped(tree_.heads), spelled(part_of(0), 1), inside(0, 1));
  }

  // Collects what might be opened yet.
  std::string inside(size_t node, size_t depth) {
    const std::vector<Part> parts = parts_below(node);
    if (parts.empty()) return "";
    if (states_[node] != State::Open) {
      if (states_[node] == State::Closed && depth <= kDepthShown) closed_.push_back(node);
      return "{...}";
    }
    std::string line;
    for (size_t i = 0; i < std::min(parts.size(), kChildrenShown); ++i) {
      line += (i == 0 ? "" : ", ") + spelled(parts[i], tree_.nodes[node].blocks) +
              inside(parts[i].node, depth + 1);
    }
    if (parts.size() > kChildrenShown) line += ", ...";
    return '{' + line + '}';
  }

  const Analysis& analysis_;
  const LeakTree& tree_;
  std::vector<std::vector<size_t>> children_;
  std::vector<uint64_t> below_;  // bytes
  std::vector<State> states_;
  std::vector<size_t> closed_;  // nodes of the last line written
};

BelowRow describe_node(const Analysis& analysis, const TreeNode& node) {
  BelowRow row;
  row.cluster = id_of(analysis, node.cluster);
  row.label = label_of(analysis, node.cluster);
  if (node.parent != TreeNode::kNoParent && node.parent > 0) row.parent = node.parent - 1;
  row.offset = node.offset;
  row.blocks = node.blocks;
  row.bytes = node.bytes;
  row.repeats = node.repeats;
  return row;
}

// Sums up the edges of all trees between clusters, seen from one end.
class Relations {
 public:
  explicit Relations(const Analysis& analysis) : analysis_(analysis) {}
  void add(ClusterId other, const TreeNode& child) {
    VerdictTotal& total = totals_[{other, child.offset}];
    total.blocks += child.blocks;
    total.bytes += child.bytes;
  }
  [[nodiscard]] std::vector<Relation> take() {
    std::vector<Relation> rows;
    for (const auto& [key, total] : totals_) {
      rows.push_back({id_of(analysis_, key.first), label_of(analysis_, key.first), key.second,
                      total.blocks, total.bytes});
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Relation& a, const Relation& b) { return a.blocks > b.blocks; });
    return rows;
  }

 private:
  const Analysis& analysis_;
  std::map<std::pair<ClusterId, uint64_t>, VerdictTotal> totals_;
};

template <typename F>
void for_each_edge(const Analysis& analysis, F&& f) {
  for (const LeakTree& tree : analysis.forest.trees) {
    for (const TreeNode& child : tree.nodes) {
      if (child.parent < tree.nodes.size()) f(tree.nodes[child.parent], child);
    }
  }
}

}  // namespace

void describe_below(const Analysis& analysis, const BlockGroup& from, LeakGroup& group) {
  if (from.verdict != Verdict::Definite || group.indirect.blocks == 0) return;
  const LeakTree* const tree = tree_of(analysis, from.cluster);
  if (tree == nullptr || tree->nodes.empty()) return;
  if (tree->heads != group.blocks || tree->below != group.indirect.blocks) return;
  for (size_t i = 1; i < tree->nodes.size(); ++i) {
    group.below.push_back(describe_node(analysis, tree->nodes[i]));
  }
  group.below_left_out = tree->left_out;
  group.below_line = TreeLine(analysis, *tree).write();
}

std::vector<Relation> parents_of(const Analysis& analysis, ClusterId cluster) {
  Relations relations(analysis);
  for_each_edge(analysis, [&](const TreeNode& parent, const TreeNode& child) {
    if (child.cluster == cluster) relations.add(parent.cluster, child);
  });
  return relations.take();
}

std::vector<Relation> children_of(const Analysis& analysis, ClusterId cluster) {
  Relations relations(analysis);
  for_each_edge(analysis, [&](const TreeNode& parent, const TreeNode& child) {
    if (parent.cluster == cluster) relations.add(child.cluster, child);
  });
  return relations.take();
}

std::string spelled_parent(const Relation& parent) {
  return fmt::format("{} (+{:#x})", parent.label, parent.offset);
}

}  // namespace heapscan

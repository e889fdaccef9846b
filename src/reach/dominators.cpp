// The algorithm is SEMI-NCA (L. Georgiadis, "Linear-Time Algorithms for Dominators and Related
// Problems", 2005; a simpler form of Lengauer and Tarjan's). A depth-first walk numbers the nodes.
// The semidominator of a node is the lowest node from which a path leads to it whose inner nodes all
// have higher numbers than it has. It is worked out from the last node to the first: a predecessor
// with a lower number is itself such a node; from one with a higher number the lowest semidominator
// counts of those on the walk's own path from it upwards, down to what has been worked out, which a
// forest with compressed paths tells. A node's immediate dominator is then its nearest ancestor in
// the dominator tree, from its parent in the walk on, that is no higher than its semidominator.
//
// Two things are done otherwise than in the book. Edges to higher numbers are used when the walk
// meets them; only the others are kept, as lists of predecessors. And the ancestor is found along
// jump pointers (E. Myers, "An applicative random-access stack", 1983) instead of step by step: on a
// list of a million nodes whose elements are also in a table the steps would be 10^12.
#include "reach/dominators.h"

#include <algorithm>
#include <span>
#include <vector>

namespace heapscan {

namespace {

GrowingArray<uint32_t> column(size_t rows) {
  GrowingArray<uint32_t> column(rows);
  column.resize(rows);
  return column;
}

// Predecessors that come later in the walk, as lists.
class LaterPredecessors {
 public:
  explicit LaterPredecessors(const LiveGraph& graph)
      : first_(column(graph.nodes())), links_(graph.edges() + 1) {
    links_.push_back({});  // 0 ends a list
  }
  void add(uint32_t row, uint32_t predecessor) {
    links_.push_back({predecessor, first_[row]});
    first_[row] = static_cast<uint32_t>(links_.size() - 1);
  }
  template <typename F>
  void for_each(uint32_t row, F&& f) const {
    for (uint32_t link = first_[row]; link != 0; link = links_[link].next)
      f(links_[link].predecessor);
  }

 private:
  struct Link {
    uint32_t predecessor = 0;
    uint32_t next = 0;
  };
  GrowingArray<uint32_t> first_;  // row -> its first link; 0: none
  GrowingArray<Link> links_;
};

struct Walk {
  GrowingArray<uint32_t> node;    // row -> node
  GrowingArray<uint32_t> parent;  // row -> row it was first met from
  GrowingArray<uint32_t> lowest;  // row -> lowest row with an edge to it
  LaterPredecessors later;

  explicit Walk(const LiveGraph& graph)
      : node(graph.nodes()), parent(graph.nodes()), lowest(graph.nodes()), later(graph) {}
};

Walk walk(const LiveGraph& graph, uint32_t root) {
  struct Open {
    uint32_t row = 0;
    uint32_t next = 0;  // of its edges
  };
  Walk result(graph);
  GrowingArray<uint32_t> number = column(graph.nodes());  // row + 1; 0: not met
  std::vector<Open> open;
  const auto enter = [&](uint32_t node, uint32_t parent) {
    const auto row = static_cast<uint32_t>(result.node.size());
    number[node] = row + 1;
    result.node.push_back(node);
    result.parent.push_back(parent);
    result.lowest.push_back(parent);
    open.push_back({row, 0});
    for (const uint32_t to : graph.from(node)) __builtin_prefetch(number.data() + to);
  };
  enter(root, 0);
  while (!open.empty()) {
    const uint32_t row = open.back().row;
    const std::span<const uint32_t> edges = graph.from(result.node[row]);
    uint32_t next = open.back().next;
    while (next < edges.size() && number[edges[next]] != 0) {
      const uint32_t to = number[edges[next++]] - 1;
      if (to < row) {
        result.later.add(to, row);
      } else {
        result.lowest[to] = std::min(result.lowest[to], row);
      }
    }
    open.back().next = next + 1;
    if (next < edges.size()) {
      enter(edges[next], row);
    } else {
      open.pop_back();
    }
  }
  return result;
}

// The walk's tree, as far as it has been linked: from the last row down.
class Forest {
 public:
  Forest(const GrowingArray<uint32_t>& parent, const GrowingArray<uint32_t>& semi)
      : ancestor_(column(parent.size())), lowest_(column(parent.size())) {
    for (size_t row = 0; row < parent.size(); ++row) {
      ancestor_[row] = parent[row];
      lowest_[row] = semi[row];
    }
  }
  void set_semi(uint32_t row, uint32_t semi) { lowest_[row] = semi; }
  // The lowest semidominator on the path from `row` up to the last of its ancestors that is not
  // below `linked`.
  uint32_t lowest_above(uint32_t row, uint32_t linked) {
    if (ancestor_[row] < linked) return lowest_[row];
    path_.clear();
    for (; ancestor_[row] >= linked; row = ancestor_[row]) path_.push_back(row);
    for (size_t i = path_.size(); i-- > 0;) {
      lowest_[path_[i]] = std::min(lowest_[path_[i]], lowest_[row]);
      ancestor_[path_[i]] = ancestor_[row];
      row = path_[i];
    }
    return lowest_[row];
  }

 private:
  GrowingArray<uint32_t> ancestor_;
  GrowingArray<uint32_t> lowest_;
  std::vector<uint32_t> path_;
};

// Row -> its semidominator; `walk` gives its column of lowest predecessors for it.
GrowingArray<uint32_t> find_semidominators(Walk& walk) {
  GrowingArray<uint32_t> semi = std::move(walk.lowest);
  Forest forest(walk.parent, semi);
  for (auto row = static_cast<uint32_t>(semi.size()); row-- > 1;) {
    walk.later.for_each(row, [&](uint32_t predecessor) {
      semi[row] = std::min(semi[row], forest.lowest_above(predecessor, row + 1));
    });
    forest.set_semi(row, semi[row]);
  }
  return semi;
}

// Turns the column of parents in the walk into one of immediate dominators.
void find_immediate(const GrowingArray<uint32_t>& semi, GrowingArray<uint32_t>& parent) {
  GrowingArray<uint32_t> depth = column(parent.size());
  GrowingArray<uint32_t> jump = column(parent.size());
  for (uint32_t row = 1; row < parent.size(); ++row) {
    uint32_t above = parent[row];
    while (above > semi[row]) above = jump[above] > semi[row] ? jump[above] : parent[above];
    parent[row] = above;
    depth[row] = depth[above] + 1;
    const uint32_t far = jump[above];
    jump[row] = depth[above] - depth[far] == depth[far] - depth[jump[far]] ? jump[far] : above;
  }
}

}  // namespace

DominatorTree find_dominators(const LiveGraph& graph, uint32_t root) {
  Walk found = walk(graph, root);
  const GrowingArray<uint32_t> semi = find_semidominators(found);
  find_immediate(semi, found.parent);
  return {std::move(found.node), std::move(found.parent)};
}

}  // namespace heapscan

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
//
// Where everything leads everywhere, paths are long, and most nodes have the same semidominator. So
// for each node the lowest one among its descendants in the walk is known when its own is worked out;
// of a descendant the path is followed only as long as its answer may be that, and is not known to be.
//
// Many blocks of a program lead nowhere, and no path goes on through such a leaf. So leaves
// are left out of all that. What dominates one is the lowest common ancestor, in the tree of the
// others, of all that lead to it; jump pointers find that, too.
#include "reach/dominators.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

GrowingArray<uint32_t> column(size_t rows) {
  GrowingArray<uint32_t> column(rows);
  column.resize(rows);
  return column;
}

struct Link {
  uint32_t predecessor = 0;
  uint32_t next = 0;
};

struct LeafEdge {
  uint32_t leaf = 0;
  uint32_t from = 0;  // row
};

constexpr uint32_t kLeaf = uint32_t{1} << 31;

struct Walk {
  GrowingArray<uint32_t> node;    // row -> node
  GrowingArray<uint32_t> parent;  // row -> row it was first met from
  GrowingArray<uint32_t> lowest;  // row -> lowest row with an edge to it
  GrowingArray<uint32_t> later;   // row -> first link of its predecessors that come later; 0: none
  GrowingArray<Link> links;
  GrowingArray<LeafEdge> leaf_edges;  // but the first to each leaf
  // Node -> its row + 1; of a leaf, that of the row which it was first met from, and kLeaf. 0 in
  // place of a row + 1: not met.
  GrowingArray<uint32_t> number;

  explicit Walk(const LiveGraph& graph)
      : node(graph.nodes()),
        parent(graph.nodes()),
        lowest(graph.nodes()),
        later(graph.nodes()),
        links(graph.edges() + 1),
        leaf_edges(graph.edges()),
        number(column(graph.nodes())) {
    links.push_back({});  // 0 ends a list
    for (uint32_t i = 0; i < number.size(); ++i) {
      if (graph.from(i).empty()) number[i] = kLeaf;
    }
  }
  void add_later(uint32_t row, uint32_t predecessor) {
    links.push_back({predecessor, later[row]});
    later[row] = static_cast<uint32_t>(links.size() - 1);
  }
  // An edge from `row` to a node that has been met, or to a leaf.
  void add_edge(uint32_t row, uint32_t to) {
    uint32_t& met = number[to];
    if (met == kLeaf) {
      met |= row + 1;
    } else if ((met & kLeaf) != 0) {
      leaf_edges.push_back({to, row});
    } else if (met - 1 < row) {
      add_later(met - 1, row);
    } else {
      lowest[met - 1] = std::min(lowest[met - 1], row);
    }
  }
};

Walk walk(const LiveGraph& graph, uint32_t root) {
  struct Open {
    uint32_t row = 0;
    uint32_t next = 0;  // of its edges
  };
  Walk result(graph);
  GrowingArray<uint32_t>& number = result.number;
  std::vector<Open> open;
  const auto enter = [&](uint32_t node, uint32_t parent) {
    const auto row = static_cast<uint32_t>(result.node.size());
    number[node] = row + 1;
    result.node.push_back(node);
    result.parent.push_back(parent);
    result.lowest.push_back(parent);
    result.later.push_back(0);
    open.push_back({row, 0});
    for (const uint32_t to : graph.from(node)) __builtin_prefetch(number.data() + to);
  };
  enter(root, 0);
  while (!open.empty()) {
    const uint32_t row = open.back().row;
    const std::span<const uint32_t> edges = graph.from(result.node[row]);
    uint32_t next = open.back().next;
    while (next < edges.size() && number[edges[next]] != 0) result.add_edge(row, edges[next++]);
    open.back().next = next + 1;
    if (next < edges.size()) {
      enter(edges[next], row);
    } else {
      open.pop_back();
    }
  }
  return result;
}

// The walk's tree, as far as it has been linked: from the last row down. Only linked rows have an
// ancestor and a lowest semidominator, so that the columns may hold something else before.
class Forest {
 public:
  Forest(GrowingArray<uint32_t>& ancestor, GrowingArray<uint32_t>& lowest)
      : ancestor_(ancestor), lowest_(lowest) {}
  void link(uint32_t row, uint32_t parent, uint32_t semi) {
    note_below(parent, std::min(semi, lowest_below(row)));
    ancestor_[row] = parent;
    lowest_[row] = semi;
  }
  // Of a row that is not linked: the lowest semidominator below it in the walk. It lies where the row
  // has its ancestor later, inverted, so that zero is the highest.
  [[nodiscard]] uint32_t lowest_below(uint32_t row) const { return ~ancestor_[row]; }
  [[gnu::always_inline]] void announce(uint32_t row) const {
    __builtin_prefetch(ancestor_.data() + row);
    __builtin_prefetch(lowest_.data() + row);
  }
  // Of a linked row, whatever was found on its path so far.
  [[nodiscard]] uint32_t lowest_known(uint32_t row) const { return lowest_[row]; }
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
  void note_below(uint32_t row, uint32_t semi) { ancestor_[row] = std::max(ancestor_[row], ~semi); }

  GrowingArray<uint32_t>& ancestor_;
  GrowingArray<uint32_t>& lowest_;
  std::vector<uint32_t> path_;
};

// The links of one row lie all over the list, and what they lead to all over the forest: what rows to
// come will ask for is fetched in steps, each of which needs what the one before has brought. GCC takes
// calls of a function that does nothing else for superfluous, unless it is inlined.
[[gnu::always_inline]] inline void announce(const Walk& walk, const Forest& forest, uint32_t row) {
  constexpr uint32_t kRowsAhead = 8;
  const auto before = [&](uint32_t steps) {
    return row > steps * kRowsAhead ? row - steps * kRowsAhead : 0;
  };
  const uint32_t far = before(3);
  __builtin_prefetch(walk.links.data() + walk.later[far]);
  __builtin_prefetch(walk.number.data() + walk.node[far]);
  const Link& first = walk.links[walk.later[before(2)]];
  __builtin_prefetch(walk.links.data() + first.next);
  forest.announce(first.predecessor);
  const Link& second = walk.links[walk.links[walk.later[before(1)]].next];
  __builtin_prefetch(walk.links.data() + second.next);
  forest.announce(second.predecessor);
}

// Turns the walk's column of lowest predecessors into one of semidominators. Afterwards what it
// keeps of later predecessors, and the numbers of nodes that are no leaves, mean nothing.
// `ancestor`: room for a column of rows, all zero.
void find_semidominators(Walk& walk, GrowingArray<uint32_t>& ancestor) {
  GrowingArray<uint32_t>& semi = walk.lowest;
  Forest forest(ancestor, walk.later);
  // Where the descendants end of rows that have been worked out, and of their parents as far as known:
  // a number is that of a row without any.
  const auto end_of = [&](uint32_t row) -> uint32_t& { return walk.number[walk.node[row]]; };
  for (auto row = static_cast<uint32_t>(semi.size()); row-- > 1;) {
    announce(walk, forest, row);
    const uint32_t end = end_of(row);
    const uint32_t below = forest.lowest_below(row);
    uint32_t lowest = semi[row];
    for (uint32_t link = walk.later[row]; link != 0; link = walk.links[link].next) {
      const uint32_t predecessor = walk.links[link].predecessor;
      const bool is_below = predecessor < end;
      if (is_below && lowest <= below) continue;
      const bool is_known = is_below && forest.lowest_known(predecessor) == below;
      lowest = std::min(lowest, is_known ? below : forest.lowest_above(predecessor, row + 1));
    }
    semi[row] = lowest;
    const uint32_t parent = walk.parent[row];
    end_of(parent) = std::max(end_of(parent), end);
    forest.link(row, parent, lowest);
  }
}

// A tree with jump pointers, in the room of columns that are no longer needed.
class JumpTree {
 public:
  // Turns `parent`, the walk's column of parents, into one of immediate dominators.
  JumpTree(GrowingArray<uint32_t>& parent, const GrowingArray<uint32_t>& semi,
           GrowingArray<uint32_t>& depth, GrowingArray<uint32_t>& jump)
      : parent_(parent), depth_(depth), jump_(jump) {
    depth[0] = jump[0] = 0;
    for (uint32_t row = 1; row < parent.size(); ++row) {
      uint32_t above = parent[row];
      while (above > semi[row]) above = jump[above] > semi[row] ? jump[above] : parent[above];
      parent[row] = above;
      depth[row] = depth[above] + 1;
      const uint32_t far = jump[above];
      jump[row] = depth[above] - depth[far] == depth[far] - depth[jump[far]] ? jump[far] : above;
    }
  }
  [[nodiscard]] uint32_t common_ancestor(uint32_t a, uint32_t b) const {
    if (depth_[a] < depth_[b]) std::swap(a, b);
    while (depth_[a] > depth_[b]) a = depth_[jump_[a]] >= depth_[b] ? jump_[a] : parent_[a];
    while (a != b) {
      const bool is_below = jump_[a] != jump_[b];
      a = is_below ? jump_[a] : parent_[a];
      b = is_below ? jump_[b] : parent_[b];
    }
    return a;
  }

 private:
  const GrowingArray<uint32_t>& parent_;
  const GrowingArray<uint32_t>& depth_;
  const GrowingArray<uint32_t>& jump_;
};

// Turns the walk's column of numbers into DominatorTree::above_leaf.
void find_above_leaves(Walk& walk, const JumpTree& tree) {
  for (const LeafEdge& edge : walk.leaf_edges) {
    const uint32_t above = (walk.number[edge.leaf] & ~kLeaf) - 1;
    walk.number[edge.leaf] = kLeaf | (tree.common_ancestor(above, edge.from) + 1);
  }
  for (uint32_t& number : walk.number) number = (number & kLeaf) == 0 ? 0 : number & ~kLeaf;
}

}  // namespace

DominatorTree find_dominators(const LiveGraph& graph, uint32_t root) {
  HS_CHECK(graph.nodes() < kLeaf);
  Walk found = walk(graph, root);
  GrowingArray<uint32_t> other = column(found.node.size());  // of ancestors, then of depths
  find_semidominators(found, other);
  const JumpTree tree(found.parent, found.lowest, other, found.later);
  find_above_leaves(found, tree);
  return {std::move(found.node), std::move(found.parent), std::move(found.number)};
}

}  // namespace heapscan

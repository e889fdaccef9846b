// A breadth-first walk from the roots meets every block on one of its shortest ways. The paths asked
// for end with the pointers to the block: each goes on with the way to where that pointer lies. A
// walk that knows the block asked for stays out of it, or ways to its holders could lead through it.
#include "heapscan/reach/holders.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "heapscan/base/growing_array.h"

namespace heapscan {

namespace {

constexpr uint32_t kNotMet = 0;
constexpr uint32_t kAtRoot = std::numeric_limits<uint32_t>::max();

struct PathWalk {
  // Node -> 1 + the node it was first met from; kAtRoot for those that roots lead to.
  GrowingArray<uint32_t> from;
  GrowingArray<uint32_t> met;  // nodes, nearest to the roots first
};

PathWalk walk_around(const LiveGraph& graph, uint32_t left_out) {
  PathWalk walk{GrowingArray<uint32_t>(graph.nodes()), GrowingArray<uint32_t>(graph.nodes())};
  walk.from.resize(graph.nodes());
  const auto meet = [&](uint32_t node, uint32_t where) {
    if (node == left_out || walk.from[node] != kNotMet) return;
    walk.from[node] = where;
    walk.met.push_back(node);
  };
  for (const RootPointer& pointer : graph.root_pointers()) meet(pointer.to.value, kAtRoot);
  for (size_t i = 0; i < walk.met.size(); ++i) {
    for (const uint32_t to : graph.from(walk.met[i])) meet(to, walk.met[i] + 1);
  }
  return walk;
}

Path path_by_way_of(const LiveGraph& graph, const GrowingArray<uint32_t>& from, uint32_t holder) {
  Path path;
  for (uint32_t node = holder;; node = from[node] - 1) {
    path.blocks.emplace_back(node);
    if (from[node] == kAtRoot) break;
  }
  std::reverse(path.blocks.begin(), path.blocks.end());
  const auto root = std::find_if(graph.root_pointers().begin(), graph.root_pointers().end(),
                                 [&](const RootPointer& p) { return p.to == path.blocks.front(); });
  path.from = *root;
  return path;
}

}  // namespace

std::vector<Path> shortest_paths(const LiveGraph& graph, BlockId to, size_t most) {
  std::vector<Path> paths;
  for (const RootPointer& pointer : graph.root_pointers()) {
    if (pointer.to == to && paths.size() < most) paths.push_back({pointer, {to}});
  }
  if (paths.size() >= most) return paths;
  const PathWalk walk = walk_around(graph, to.value);
  for (const uint32_t node : walk.met) {
    const auto edges = graph.from(node);
    if (!std::binary_search(edges.begin(), edges.end(), to.value)) continue;
    Path path = path_by_way_of(graph, walk.from, node);
    path.blocks.push_back(to);
    paths.push_back(std::move(path));
    if (paths.size() == most) break;
  }
  return paths;
}

}  // namespace heapscan

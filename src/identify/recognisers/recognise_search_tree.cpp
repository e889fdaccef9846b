// tsearch() makes red-black trees of {key, left, right}, with the colour in the lowest bit of
// `left` (glibc misc/tsearch.c, since 2.25). No red node has a red child, and every way down passes
// as many black nodes: no other struct of three pointers is like that by chance, but a leaf alone
// says nothing. So trees are looked for from the samples that have something below them, and their
// nodes tell what the groups are that they are in.
#include "identify/recognisers/recognisers.h"

#include <algorithm>
#include <vector>

#include "heapscan/base/parallel.h"
#include "identify/recognisers/library_structs.h"

namespace heapscan {

namespace {

constexpr uint64_t kNode = 24;
constexpr uint64_t kLeft = 8;
constexpr uint64_t kRight = 16;
// A red-black tree is at most 2 * 47 deep where addresses have 47 bits.
constexpr int kDeepest = 128;
constexpr uint32_t kWays = 16;        // followed from each node
constexpr size_t kFewestNodes = 3;    // of a tree that is believed
constexpr size_t kMostNodes = 256;    // collected of one tree
constexpr size_t kFewestOfGroup = 8;  // or half of its blocks

struct Node {
  Addr left;
  Addr right;
  bool is_red = false;
};

// Of a block that may be one.
std::optional<Node> node_at(const Inputs& inputs, Addr at) {
  if (size_of_block_at(inputs, at.value) != kNode) return std::nullopt;
  const auto key = inputs.image.read<uint64_t>(at);
  const auto left = inputs.image.read<uint64_t>(at + kLeft);
  const auto right = inputs.image.read<uint64_t>(at + kRight);
  if (!key || !left || !right || !is_pointer(inputs.addresses.kind_of(*key))) return std::nullopt;
  const Node node{Addr(*left & ~uint64_t{1}), Addr(*right), (*left & 1) != 0};
  for (const Addr child : {node.left, node.right}) {
    if (!child.is_null() && size_of_block_at(inputs, child.value) != kNode) return std::nullopt;
  }
  return node;
}

struct Way {
  int black = 0;
  bool saw_red = false;
};

// Down from `at`, left or right as the bits of `turns` say.
std::optional<Way> follow(const Inputs& inputs, Addr at, uint32_t turns) {
  Way way;
  bool above_is_red = false;
  for (int depth = 0; depth < kDeepest; ++depth) {
    if (at.is_null()) return way;
    const auto node = node_at(inputs, at);
    if (!node || (node->is_red && above_is_red)) return std::nullopt;
    way.black += node->is_red ? 0 : 1;
    way.saw_red = way.saw_red || node->is_red;
    above_is_red = node->is_red;
    at = (turns >> depth % 32 & 1) != 0 ? node->right : node->left;
  }
  return std::nullopt;
}

// A node's tree, from that node down: itself and what is below, breadth first. Empty when it is
// none.
std::vector<BlockId> tree_below(const Inputs& inputs, Addr root) {
  std::optional<int> black;
  bool saw_red = false;
  for (uint32_t i = 0; i < kWays; ++i) {
    // The outermost ways first, then mixed ones.
    const uint32_t turns = i == 0 ? 0 : i == 1 ? ~uint32_t{0} : i * 0x9e3779b1;
    const auto way = follow(inputs, root, turns);
    if (!way || (black && *black != way->black)) return {};
    black = way->black;
    saw_red = saw_red || way->saw_red;
  }
  if (!saw_red) return {};
  std::vector<Addr> nodes{root};
  for (size_t i = 0; i < nodes.size() && nodes.size() < kMostNodes; ++i) {
    const auto node = node_at(inputs, nodes[i]);
    if (!node) return {};
    for (const Addr child : {node->left, node->right}) {
      if (!child.is_null()) nodes.push_back(child);
    }
  }
  if (nodes.size() < kFewestNodes) return {};
  std::vector<BlockId> blocks;
  for (const Addr node : nodes) blocks.push_back(inputs.addresses.block_meant_by(node.value));
  return blocks;
}

bool may_hold_nodes(const Family& family) {
  return !family.sizes.empty() && family.sizes.front().first == kNode &&
         family.sizes.back().first == kNode;
}

uint32_t count_nodes(const Inputs& inputs, std::span<const Sample> samples) {
  return static_cast<uint32_t>(std::count_if(
      samples.begin(), samples.end(),
      [&](const Sample& sample) { return node_at(inputs, sample.begin).has_value(); }));
}

}  // namespace

Column<FamilyId, std::optional<Evidence>> recognise_search_trees(const Inputs& inputs,
                                                                 size_t count) {
  std::vector<std::vector<BlockId>> found(count);
  parallel_for(count, [&](size_t i) {
    if (!may_hold_nodes(inputs.families.rows[FamilyId(i)])) return;
    for (const Sample& sample : samples_of(inputs, FamilyId(i))) {
      const std::vector<BlockId> nodes = tree_below(inputs, sample.begin);
      found[i].insert(found[i].end(), nodes.begin(), nodes.end());
    }
  });
  std::vector<BlockId> nodes;
  for (const std::vector<BlockId>& part : found)
    nodes.insert(nodes.end(), part.begin(), part.end());
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  std::vector<size_t> members(count);
  for (const BlockId node : nodes) {
    const FamilyId family = inputs.families.of(node);
    if (family.valid() && family.index() < count) ++members[family.index()];
  }
  Column<FamilyId, std::optional<Evidence>> result(count);
  for (size_t i = 0; i < count; ++i) {
    const FamilyId id(i);
    if (members[i] == 0) continue;
    if (members[i] < kFewestOfGroup && members[i] * 2 < inputs.families.rows[id].blocks) continue;
    const std::vector<Sample> samples = samples_of(inputs, id);
    const uint32_t agreeing = count_nodes(inputs, samples);
    if (!nearly_all(agreeing, samples.size())) continue;
    Evidence evidence;
    evidence.kind = EvidenceKind::Library;
    evidence.label = "node of tsearch()";
    evidence.detail = "a balanced tree, with colours in its links";
    evidence.samples = static_cast<uint32_t>(samples.size());
    evidence.agreeing = agreeing;
    result[id] = std::move(evidence);
  }
  return result;
}

}  // namespace heapscan

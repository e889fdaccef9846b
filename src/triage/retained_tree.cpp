// One pass over the rows of the dominator tree, parents first: a row goes to the node of its kind
// below its parent's node, which is made when the first such row comes. A row of its parent's own
// kind goes to its parent's node. What a node retains is the sum over its rows that do not lie below
// others of it; rows of one node never retain the same block twice.
#include "heapscan/triage/retained_tree.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_map>

#include "heapscan/base/hash.h"

namespace heapscan {

namespace {

using Kind = RetainedNode::Kind;
constexpr uint32_t kOutside = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kTooDeep = kOutside - 1;  // below the nodes that are made

class Folding {
 public:
  Folding(const MemoryImage& image, const HeapModel& heap, const Clusters& clusters,
          const Retained& retained, const FoldOptions& options, const HeldContainers& containers)
      : image_(image),
        heap_(heap),
        retained_(retained),
        options_(options),
        containers_(containers),
        is_counted_(containers.instances.size()),
        clusters_(clusters) {}

  std::vector<RetainedNode> fold() {
    node_of_.assign(retained_.first_leaf(), kOutside);
    retained_.for_each_row([this](RetainedRow row) { place(row); });
    link_children();
    std::vector<RetainedNode> result;
    if (!nodes_.empty()) emit(result);
    return result;
  }

 private:
  struct Open {
    uint32_t node = 0;
    uint32_t parent = 0;   // in the result
    bool is_rest = false;  // what is left out of the children of the node
  };

  [[nodiscard]] RetainedNode describe(RetainedRow row) const {
    RetainedNode node;
    node.owner = retained_.owner(row);
    node.group = retained_.group(row);
    const BlockId block = retained_.block(row);
    if (block.valid()) {
      node.kind = Kind::Blocks;
      node.cluster = clusters_.of(block);
    } else if (node.owner.valid()) {
      node.kind = Kind::Owner;
    } else if (node.group.valid()) {
      node.kind = Kind::Group;
    } else if (retained_.is_unexplained(row)) {
      node.kind = Kind::Unexplained;
    }
    return node;
  }

  [[nodiscard]] bool is_asked_for(const RetainedNode& node) const {
    const RetainedBy& by = options_.by;
    if (by.cluster.valid()) return node.kind == Kind::Blocks && node.cluster == by.cluster;
    if (by.group.valid()) return node.group == by.group;
    if (by.owner.valid()) return node.owner == by.owner;
    return node.kind == Kind::Whole;
  }
  [[nodiscard]] static bool are_alike(const RetainedNode& a, const RetainedNode& b) {
    return a.kind == Kind::Blocks && b.kind == Kind::Blocks && a.cluster.valid() &&
           a.cluster == b.cluster;
  }
  [[nodiscard]] static uint64_t key_of(uint32_t parent, const RetainedNode& node) {
    const uint32_t id = node.kind == Kind::Blocks      ? node.cluster.value
                        : node.kind == Kind::Owner     ? node.owner.value
                        : node.kind == Kind::Container ? node.place
                                                       : node.group.value;
    return mix(mix(parent, static_cast<uint64_t>(node.kind)), id);
  }

  void place(RetainedRow row) {
    // A root may lead to nothing but what others lead to as well.
    if (row != Retained::kWhole && retained_.blocks(row) == 0) return;
    const uint32_t above = row == Retained::kWhole ? kOutside : node_of_[retained_.parent(row)];
    if (above == kTooDeep) {
      remember(row, kTooDeep);
      return;
    }
    RetainedNode node = describe(row);
    if (above == kOutside) {
      if (!is_asked_for(node)) return;
      if (nodes_.empty()) add(std::move(node), RetainedNode::kNoParent);
      count(row, 0, false);
    } else if (are_alike(nodes_[above], node)) {
      count(row, above, true);
    } else {
      place_below(row, above, std::move(node));
    }
  }

  void place_below(RetainedRow row, uint32_t above, RetainedNode node) {
    const uint32_t number = container_of(row);
    if (number != 0 && is_part_of(above, number - 1)) {
      count_own(row, above);
      count_instance(number - 1, above);
      remember(row, above);
      return;
    }
    if (depths_[above] >= options_.depth) {
      remember(row, kTooDeep);
      return;
    }
    const bool is_shared = node.kind == Kind::Blocks &&
                           (nodes_[above].kind == Kind::Whole || nodes_[above].kind == Kind::Owner);
    if (is_shared) {
      above = shared_below(above);
      count_retained(row, above);
    }
    if (number != 0) {
      const bool is_part = place_of(number - 1).is_its_blocks();
      above = container_below(row, above, number - 1);
      if (is_part) {
        remember(row, above);
        return;
      }
      if (depths_[above] >= options_.depth) {
        remember(row, kTooDeep);
        return;
      }
    }
    const auto [at, is_new] = node_by_key_.try_emplace(key_of(above, node), 0);
    if (is_new) at->second = add(std::move(node), above);
    count(row, at->second, false);
  }

  // Below leaves nothing lies that will ask.
  void remember(RetainedRow row, uint32_t node) {
    if (row < node_of_.size()) node_of_[row] = node;
  }

  // 1 + the index of the instance; 0: none.
  [[nodiscard]] uint32_t container_of(RetainedRow row) const {
    return row < containers_.of_row.size() ? containers_.of_row[row] : 0;
  }

  [[nodiscard]] const HeldContainers::Place& place_of(uint32_t instance) const {
    return containers_.places[containers_.instances[instance].place];
  }

  // Whether the node is the container of this instance, or of others like it, and such is made of
  // its blocks.
  [[nodiscard]] bool is_part_of(uint32_t node, uint32_t instance) const {
    return place_of(instance).is_its_blocks() && nodes_[node].kind == Kind::Container &&
           nodes_[node].place == containers_.instances[instance].place;
  }

  void count_own(RetainedRow row, uint32_t at) {
    ++nodes_[at].blocks;
    nodes_[at].bytes += held_bytes(image_, heap_.block(retained_.block(row)));
    nodes_[at].is_least |= retained_.is_least(row);
  }

  // The node of the container to which the block of the row belongs: `above` where that is a
  // variable which is nothing but the container.
  uint32_t container_below(RetainedRow row, uint32_t above, uint32_t number) {
    const HeldContainers::Instance& instance = containers_.instances[number];
    const HeldContainers::Place& place = place_of(number);
    const bool is_all = !place.is_its_blocks() && nodes_[above].kind == Kind::Group &&
                        place.container.member.empty();
    if (!is_all) {
      RetainedNode container;
      container.kind = Kind::Container;
      container.place = instance.place;
      const auto [at, is_new] = node_by_key_.try_emplace(key_of(above, container), 0);
      if (is_new) at->second = add(std::move(container), above);
      above = at->second;
      count_retained(row, above);
      count_own(row, above);
    }
    nodes_[above].place = instance.place;
    count_instance(number, above);
    return above;
  }

  void count_instance(uint32_t number, uint32_t at) {
    const std::optional<uint64_t>& entries = containers_.instances[number].entries;
    nodes_[at].knows_entries &= entries.has_value();
    if (is_counted_[number]) return;
    is_counted_[number] = true;
    ++nodes_[at].containers;
    nodes_[at].entries += entries.value_or(0);
    nodes_[at].largest.see(containers_.instances[number]);
  }

  [[nodiscard]] uint64_t bytes_of(RetainedRow row) const {
    return retained_.bytes(row, image_, heap_);
  }

  void count_retained(RetainedRow row, uint32_t at) {
    nodes_[at].is_least |= retained_.is_least(row);
    nodes_[at].retained_blocks += retained_.blocks(row);
    nodes_[at].retained_bytes += bytes_of(row);
  }

  // The node of the blocks that have nothing in common but this one.
  uint32_t shared_below(uint32_t above) {
    RetainedNode shared;
    shared.kind = Kind::Shared;
    const auto [at, is_new] = node_by_key_.try_emplace(key_of(above, shared), 0);
    if (is_new) at->second = add(std::move(shared), above);
    return at->second;
  }

  uint32_t add(RetainedNode node, uint32_t parent) {
    node.parent = parent;
    depths_.push_back(parent == RetainedNode::kNoParent ? 0 : depths_[parent] + 1);
    best_.push_back(0);
    nodes_.push_back(std::move(node));
    return static_cast<uint32_t>(nodes_.size() - 1);
  }

  void count(RetainedRow row, uint32_t at, bool is_below_its_kind) {
    remember(row, at);
    RetainedNode& node = nodes_[at];
    const BlockId block = retained_.block(row);
    if (block.valid()) {
      ++node.blocks;
      node.bytes += held_bytes(image_, heap_.block(block));
    }
    node.repeats |= is_below_its_kind;
    node.is_least |= retained_.is_least(row);
    if (is_below_its_kind) return;
    ++node.tops;
    count_retained(row, at);
    const uint64_t bytes = bytes_of(row);
    const bool is_better =
        bytes > best_[at] || (bytes == best_[at] && block.valid() && block < node.example);
    if (!node.example.valid() || is_better) {
      node.example = block;
      best_[at] = bytes;
    }
  }

  void link_children() {
    children_.resize(nodes_.size());
    for (uint32_t i = 1; i < nodes_.size(); ++i) children_[nodes_[i].parent].push_back(i);
    for (std::vector<uint32_t>& children : children_) {
      std::stable_sort(children.begin(), children.end(), [this](uint32_t a, uint32_t b) {
        return nodes_[a].retained_bytes > nodes_[b].retained_bytes;
      });
    }
  }

  [[nodiscard]] size_t shown_children(uint32_t node) const {
    return std::min(children_[node].size(), options_.most_children);
  }

  void emit(std::vector<RetainedNode>& result) const {
    std::vector<Open> open{{0, RetainedNode::kNoParent, false}};
    while (!open.empty()) {
      const Open next = open.back();
      open.pop_back();
      const auto at = static_cast<uint32_t>(result.size());
      result.push_back(next.is_rest ? rest_of(next.node) : nodes_[next.node]);
      result.back().parent = next.parent;
      if (next.is_rest) continue;
      const std::vector<uint32_t>& children = children_[next.node];
      const size_t shown = shown_children(next.node);
      if (shown < children.size()) open.push_back({next.node, at, true});
      for (size_t i = shown; i-- > 0;) open.push_back({children[i], at, false});
    }
  }

  [[nodiscard]] RetainedNode rest_of(uint32_t node) const {
    RetainedNode rest;
    rest.kind = Kind::Rest;
    for (size_t i = shown_children(node); i < children_[node].size(); ++i) {
      const RetainedNode& child = nodes_[children_[node][i]];
      rest.blocks += child.blocks;
      rest.bytes += child.bytes;
      rest.retained_blocks += child.retained_blocks;
      rest.retained_bytes += child.retained_bytes;
      rest.is_least |= child.is_least;
    }
    return rest;
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  const Retained& retained_;
  const FoldOptions& options_;
  const HeldContainers& containers_;
  std::vector<bool> is_counted_;  // instances
  const Clusters& clusters_;
  std::vector<uint32_t> node_of_;  // row -> node; of rows that are no leaves
  std::vector<RetainedNode> nodes_;
  std::vector<int> depths_;
  std::vector<uint64_t> best_;  // what the example retains
  std::unordered_map<uint64_t, uint32_t> node_by_key_;
  std::vector<std::vector<uint32_t>> children_;
};

// Mappings are one kind; without a cluster, blocks of one size are.
uint64_t kind_of(const Block& block, ClusterId cluster) {
  if (block.state() == BlockState::Mapping) return mix(0);
  return cluster.valid() ? mix(1, cluster.value) : mix(2, block.size());
}

void add_alike(const LargeHolder& one, uint64_t& largest, LargeHolder& all) {
  if (one.bytes > largest) {
    all.row = one.row;
    largest = one.bytes;
  }
  all.alike += one.alike;
  all.blocks += one.blocks;
  all.bytes += one.bytes;
}

}  // namespace

std::vector<RetainedNode> fold_retained(const MemoryImage& image, const HeapModel& heap,
                                        const Clusters& clusters, const Retained& retained,
                                        const FoldOptions& options,
                                        const HeldContainers& containers) {
  return Folding(image, heap, clusters, retained, options, containers).fold();
}

std::vector<LargeHolder> largest_holders(const MemoryImage& image, const HeapModel& heap,
                                         const Clusters& clusters, const Retained& retained,
                                         size_t most) {
  std::vector<LargeHolder> holders;
  std::vector<uint64_t> largest;                // of each, what its row holds
  std::unordered_map<uint64_t, size_t> shared;  // owner and kind -> holder
  retained.for_each_row([&](RetainedRow row) {
    const RetainedRow parent = retained.parent(row);
    const BlockId block = retained.block(row);
    const bool is_shared =
        block.valid() && (parent == Retained::kWhole || retained.owner(parent).valid());
    if (!is_shared && !retained.group(row).valid()) return;
    const LargeHolder holder{row, 1, retained.blocks(row), retained.bytes(row, image, heap)};
    if (is_shared) {
      const uint64_t kind = kind_of(heap.block(block), clusters.of(block));
      const auto [at, is_new] = shared.try_emplace(mix(parent, kind), holders.size());
      if (!is_new) {
        add_alike(holder, largest[at->second], holders[at->second]);
        return;
      }
    }
    holders.push_back(holder);
    largest.push_back(holder.bytes);
  });
  const size_t shown = std::min(most, holders.size());
  std::partial_sort(holders.begin(), holders.begin() + static_cast<std::ptrdiff_t>(shown),
                    holders.end(), [](const LargeHolder& a, const LargeHolder& b) {
                      return std::tuple(b.bytes, a.row) < std::tuple(a.bytes, b.row);
                    });
  holders.resize(shown);
  return holders;
}

}  // namespace heapscan

// cluster() knows blocks by the kinds of their words, and one record of pointers is like another:
// nodes of a hash table fall together with the elements of a vector. Which container owns a block
// tells them apart. Every cluster's members are counted by part and by the place of the container;
// large enough groups become clusters of their own. Storage is not separated by place: strings lie
// at many offsets of many arrays. Blocks that no container owns stay with the largest group, unless
// what the others are is certain for each block (nodes) or the cluster is taken apart anyway.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "heapscan/identify/identities.h"
#include "identify/cluster_rows.h"
#include "identify/container_search.h"

namespace heapscan {

namespace {

constexpr uint64_t kFewest = 64;  // blocks that are worth a cluster of their own
constexpr uint32_t kNoCode = 0;

using Counts = std::map<uint32_t, uint64_t>;  // code -> blocks

// A group of one old cluster: a part at one place, a part at all others, or owned by none.
struct GroupKey {
  bool is_owned = false;
  ContainerPart part = ContainerPart::Text;
  bool has_place = false;
  uint32_t place = 0;
  auto operator<=>(const GroupKey&) const = default;
};

bool is_node(ContainerPart part) {
  return part == ContainerPart::TreeNode || part == ContainerPart::ListNode ||
         part == ContainerPart::HashNode;
}

GroupKey key_of(const ContainerSearch& search, const Counts& counts, uint64_t blocks,
                uint32_t code) {
  if (code == kNoCode) return {};
  const ContainerMember member = search.member(code);
  const uint64_t here = counts.at(code);
  if (is_node(member.part) && here >= kFewest && here * 10 >= blocks)
    return {true, member.part, true, member.place};
  return {true, member.part, false, 0};
}

// Groups that become clusters; everything else goes with `rest`.
struct Plan {
  std::map<uint32_t, GroupKey> key_of_code;
  std::map<GroupKey, uint64_t> groups;
  GroupKey rest;
  bool is_split = false;
};

Plan plan_for(const ContainerSearch& search, const Counts& counts, uint64_t blocks) {
  Plan plan;
  std::map<GroupKey, uint64_t> sizes;
  for (const auto& [code, count] : counts) {
    const GroupKey key = key_of(search, counts, blocks, code);
    plan.key_of_code[code] = key;
    sizes[key] += count;
  }
  uint64_t most = 0;
  size_t owned = 0;
  bool any_nodes = false;
  for (const auto& [key, count] : sizes) {
    if (count > most) {
      most = count;
      plan.rest = key;
    }
    if (count < kFewest || count * 20 < blocks) continue;
    plan.groups.emplace(key, count);
    if (!key.is_owned) continue;
    ++owned;
    any_nodes |= is_node(key.part) && count * 5 >= blocks;
  }
  const auto unowned = sizes.find(GroupKey());
  const bool many_unowned = unowned != sizes.end() && unowned->second * 5 >= blocks;
  plan.is_split = owned >= 2 || (owned == 1 && any_nodes && many_unowned);
  return plan;
}

// How many groups are larger, or as large and stand before it.
uint64_t rank_of(const std::map<GroupKey, uint64_t>& groups, const GroupKey& key) {
  const uint64_t blocks = groups.at(key);
  return static_cast<uint64_t>(std::count_if(groups.begin(), groups.end(), [&](const auto& other) {
    return other.second > blocks || (other.second == blocks && other.first < key);
  }));
}

uint64_t mixed(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  return hash * 0xbf58476d1ce4e5b9;
}

// From names and shapes only, like every fingerprint. `rank` tells apart what lies at places
// without a name.
uint64_t fingerprint_of(const Clusters& clusters, const ContainerSearch& search, uint64_t whole,
                        const GroupKey& key, uint64_t rank) {
  if (!key.is_owned) return whole;
  uint64_t hash = mixed(whole, 1 + static_cast<uint64_t>(key.part));
  if (!key.has_place) return hash;
  const ContainerPlace& place = search.places[key.place];
  if (place.owner.valid()) {
    hash = mixed(hash, clusters.rows[place.owner].fingerprint);
  } else if (place.variable.empty()) {
    return mixed(hash, rank);
  }
  for (const char c : place.variable) hash = mixed(hash, static_cast<unsigned char>(c));
  return mixed(hash, place.offset);
}

ContainerSearch search(const MemoryImage& image, const Symbols& symbols, const HeapModel& heap,
                       const Roots& roots, const Reachability& reach, const Clusters& clusters) {
  const Types types;
  const AddressMap addresses(image, heap);
  const Column<ClusterId, Profile> profiles(clusters.rows.size());
  const Inputs inputs{image, symbols, types, heap, roots, reach, clusters, addresses, profiles};
  return search_containers(inputs, Column<ClusterId, uint8_t>(clusters.rows.size(), 1));
}

void sort_rows(Clusters& clusters) {
  std::vector<ClusterId> order;
  for (size_t i = 0; i < clusters.rows.size(); ++i) order.emplace_back(i);
  std::sort(order.begin(), order.end(), [&](ClusterId a, ClusterId b) {
    const Cluster& first = clusters.rows[a];
    const Cluster& second = clusters.rows[b];
    return std::tuple(second.bytes, first.fingerprint, a) <
           std::tuple(first.bytes, second.fingerprint, b);
  });
  Column<ClusterId, Cluster> rows;
  std::vector<ClusterId> place(order.size());
  for (const ClusterId old : order)
    place[old.index()] = rows.push_back(std::move(clusters.rows[old]));
  clusters.rows = std::move(rows);
  for (ClusterId& id : clusters.cluster_of) id = place[id.index()];
}

}  // namespace

Clusters split_by_containers(const MemoryImage& image, const Symbols& symbols,
                             const HeapModel& heap, const Roots& roots, const Reachability& reach,
                             Clusters clusters) {
  const ContainerSearch found = search(image, symbols, heap, roots, reach, clusters);
  if (found.places.empty()) return clusters;
  std::vector<Counts> counts(clusters.rows.size());
  for (size_t i = 0; i < clusters.blocks.size(); ++i)
    ++counts[clusters.cluster_of[i].index()][found.codes[i]];
  std::vector<Plan> plans;
  for (size_t i = 0; i < counts.size(); ++i)
    plans.push_back(plan_for(found, counts[i], clusters.rows[ClusterId(i)].blocks));

  // The largest group keeps the cluster's row.
  const size_t old_rows = clusters.rows.size();
  std::vector<std::map<GroupKey, ClusterId>> row_of(old_rows);
  for (size_t i = 0; i < old_rows; ++i) {
    if (!plans[i].is_split) continue;
    for (const auto& [key, count] : plans[i].groups) {
      if (key == plans[i].rest) continue;
      Cluster row;
      row.shape = clusters.rows[ClusterId(i)].shape;
      row.fingerprint = fingerprint_of(clusters, found, clusters.rows[ClusterId(i)].fingerprint,
                                       key, rank_of(plans[i].groups, key));
      row_of[i][key] = clusters.rows.push_back(std::move(row));
    }
  }
  for (size_t i = 0; i < clusters.blocks.size(); ++i) {
    ClusterId& id = clusters.cluster_of[i];
    const auto& rows = row_of[id.index()];
    if (rows.empty()) continue;
    const auto row = rows.find(plans[id.index()].key_of_code.at(found.codes[i]));
    if (row != rows.end()) id = row->second;
  }
  fill_rows(heap, clusters);
  sort_rows(clusters);
  return clusters;
}

}  // namespace heapscan

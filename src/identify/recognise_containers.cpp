// Containers are found where they lie: in the samples of every cluster, and in module data and on
// stacks when live blocks were clustered too. Each one found says what its blocks are, and where
// the owner has them. Storage (a string's text, a vector's elements) has no form of its own, so all
// blocks of the cluster that anybody names must be named by such containers. Nodes have links, and
// all samples must have consistent ones; a tree's links alone are proof enough.
//
// C has structs that look like containers: programs without a C++ library are not asked.
#include "identify/recognise_containers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "heapscan/base/parallel.h"
#include "identify/container_headers.h"
#include "identify/recogniser_names.h"
#include "identify/recogniser_samples.h"

namespace heapscan {

namespace {

constexpr uint64_t kOwnerBytes = 1024;  // looked at for containers
constexpr size_t kMostOwners = 32;      // samples of a cluster
constexpr size_t kMostBlocks = 512;     // remembered per cluster
constexpr uint64_t kMostRootBytes = 64 << 20;
constexpr size_t kGrain = 8;
constexpr uint64_t kLargestContainer = 80;

// Where a container lies: at `offset` in the blocks of a cluster, or in the variable of that name.
struct Origin {
  ClusterId owner;
  uint64_t offset = 0;
  std::string variable;
  auto operator<=>(const Origin&) const = default;
};

struct FoundPart {
  OwnedPart owned;
  Origin origin;
};

struct Found {
  std::vector<FoundPart> parts;
  std::vector<BlockId> named;  // blocks that some word of a sample names
};

const char* base_label(ContainerPart part) {
  static constexpr std::array<const char*, kContainerParts> kLabels = {
      "text of std::string", "elements of std::vector",    "node of std::map or set",
      "node of std::list",   "node of std::unordered_map", "buckets of std::unordered_map",
      "map of std::deque",   "chunk of std::deque",        ""};
  return kLabels[static_cast<size_t>(part)];
}

bool is_storage(ContainerPart part) {
  return part == ContainerPart::Text || part == ContainerPart::Elements ||
         part == ContainerPart::Buckets || part == ContainerPart::DequeMap ||
         part == ContainerPart::Functor;
}

bool has_cpp_library(const Inputs& inputs) {
  for (size_t i = 0; i < inputs.image.modules().size(); ++i) {
    const std::string_view name = inputs.image.modules()[ModuleId(i)].file_name();
    if (name.starts_with("libstdc++.so") || name.starts_with("libc++.so")) return true;
    if (inputs.symbols.address_of(ModuleId(i), "__gxx_personality_v0")) return true;
  }
  return false;
}

// Buffers of streams look like vectors.
bool may_own_containers(const Identity& identity) {
  return !identity.label.starts_with("std::basic_") && identity.label != "FILE";
}

// `origin_of(offset)` says where a container that begins there lies.
template <typename F>
void look_at(const Inputs& inputs, Addr begin, Bytes bytes, uint64_t limit, F&& origin_of,
             Found& found) {
  const auto take = [&](uint64_t offset) {
    const uint64_t length = std::min<uint64_t>(bytes.size() - offset, kLargestContainer);
    for (OwnedPart& part :
         parts_of_container(inputs, begin + offset, bytes.subspan(offset, length)))
      found.parts.push_back({std::move(part), origin_of(offset)});
  };
  limit = std::min<uint64_t>(limit, bytes.size());
  for (uint64_t offset = 0; offset + 8 <= limit; offset += 8) {
    const uint64_t word = load<uint64_t>(bytes.data() + offset);
    const BlockId block = inputs.addresses.block_of(word);
    // The one bucket of a small hash table is in the table.
    const bool is_self = word - (begin + offset).value < kLargestContainer;
    if (!block.valid() && !is_self) continue;
    const bool is_start = block.valid() && inputs.heap.block(block).begin().value == word;
    if (is_start) found.named.push_back(block);
    if (is_start || is_self) take(offset);
    // A tree begins with the colour before its root's address.
    if (is_start && offset >= 8 && read_at<uint32_t>(bytes, offset - 8) == 0U) take(offset - 8);
  }
}

Found look_at_cluster(const Inputs& inputs, ClusterId cluster) {
  Found found;
  const std::vector<Sample> samples = samples_of(inputs, cluster);
  const size_t count = std::min(samples.size(), kMostOwners);
  for (size_t i = 0; i < count; ++i) {
    const Sample& sample = samples[i * samples.size() / count];
    const auto origin_of = [&](uint64_t offset) { return Origin{cluster, offset, ""}; };
    look_at(inputs, sample.begin, sample.bytes, kOwnerBytes, origin_of, found);
  }
  // A node names its neighbours; that says nothing about who owns them.
  std::erase_if(found.named, [&](BlockId id) { return inputs.clusters.of(id) == cluster; });
  std::sort(found.named.begin(), found.named.end());
  found.named.erase(std::unique(found.named.begin(), found.named.end()), found.named.end());
  return found;
}

std::string variable_at(const Inputs& inputs, Addr address) {
  const auto hit = inputs.symbols.at(address);
  return hit && hit->offset == 0 ? name_of_symbol(hit->name) : "";
}

// Containers in variables; of their blocks only those that were clustered matter.
Found look_at_roots(const Inputs& inputs) {
  Found found;
  uint64_t left = kMostRootBytes;
  for (const RootRange& root : inputs.roots.ranges) {
    if (root.kind != RootKind::ModuleData && root.kind != RootKind::Stack) continue;
    inputs.image.for_each_span(root.range, [&](Addr begin, Bytes bytes) {
      const uint64_t skip = begin.align_up(8) - begin;
      const uint64_t limit = std::min<uint64_t>(bytes.size(), left);
      if (skip >= limit) return;
      left -= limit;
      const Addr first = begin + skip;
      const auto origin_of = [&](uint64_t offset) {
        return Origin{ClusterId::none(), 0, variable_at(inputs, first + offset)};
      };
      look_at(inputs, first, bytes.subspan(skip), limit - skip, origin_of, found);
    });
  }
  return found;
}

bool any_reachable(const Inputs& inputs) {
  return std::any_of(inputs.clusters.rows.begin(), inputs.clusters.rows.end(),
                     [&](const Cluster& row) {
                       return !row.samples.empty() &&
                              inputs.reach.verdict(row.samples.front()) == Verdict::Reachable;
                     });
}

// What the containers found say about one cluster.
struct Claims {
  struct Claim {
    std::set<BlockId> blocks;
    std::map<Origin, uint32_t> origins;
    std::map<std::string, uint32_t> types;
    uint32_t found = 0;
  };
  std::array<Claim, kContainerParts> by_part;
  std::set<BlockId> named;
};

void remember(std::set<BlockId>& blocks, BlockId block) {
  if (blocks.size() < kMostBlocks) blocks.insert(block);
}

Column<ClusterId, Claims> collect_claims(const Inputs& inputs, const std::vector<Found>& all) {
  Column<ClusterId, Claims> claims(inputs.clusters.rows.size());
  for (const Found& found : all) {
    for (const FoundPart& part : found.parts) {
      const ClusterId cluster = inputs.clusters.of(part.owned.block);
      if (!cluster.valid()) continue;
      Claims::Claim& claim = claims[cluster].by_part[static_cast<size_t>(part.owned.part)];
      ++claim.found;
      remember(claim.blocks, part.owned.block);
      ++claim.origins[part.origin];
      if (!part.owned.type.empty()) ++claim.types[part.owned.type];
    }
    for (const BlockId block : found.named) {
      const ClusterId cluster = inputs.clusters.of(block);
      if (cluster.valid()) remember(claims[cluster].named, block);
    }
  }
  return claims;
}

template <typename T>
const T* agreed(const std::map<T, uint32_t>& counts, uint32_t total) {
  for (const auto& [value, count] : counts) {
    if (nearly_all(count, total)) return &value;
  }
  return nullptr;
}

struct Answer {
  ContainerPart part = ContainerPart::Text;
  uint32_t samples = 0;
  uint32_t agreeing = 0;
};

uint32_t count_linked(const Inputs& inputs, ClusterId cluster,
                      bool (*is_linked)(const MemoryImage&, Addr)) {
  const auto& samples = inputs.clusters.rows[cluster].samples;
  return static_cast<uint32_t>(std::count_if(samples.begin(), samples.end(), [&](BlockId id) {
    return is_linked(inputs.image, inputs.heap.block(id).begin());
  }));
}

Answer answer_for(const Inputs& inputs, ClusterId cluster, ContainerPart part,
                  const Claims& claims) {
  const Claims::Claim& claim = claims.by_part[static_cast<size_t>(part)];
  Answer answer{part, static_cast<uint32_t>(inputs.clusters.rows[cluster].samples.size()), 0};
  if (part == ContainerPart::TreeNode) {
    answer.agreeing = count_linked(inputs, cluster, is_linked_tree_node);
  } else if (claim.found == 0) {
    return answer;
  } else if (part == ContainerPart::ListNode) {
    answer.agreeing = count_linked(inputs, cluster, is_linked_list_node);
  } else {
    answer.samples = answer.agreeing = static_cast<uint32_t>(claim.blocks.size());
    if (is_storage(part)) {
      answer.samples += static_cast<uint32_t>(
          std::count_if(claims.named.begin(), claims.named.end(),
                        [&](BlockId id) { return !claim.blocks.contains(id); }));
    }
  }
  return answer;
}

std::optional<Answer> choose_part(const Inputs& inputs, ClusterId cluster, const Claims& claims) {
  for (size_t i = 0; i < kContainerParts; ++i) {
    const Answer answer = answer_for(inputs, cluster, static_cast<ContainerPart>(i), claims);
    if (nearly_all(answer.agreeing, answer.samples)) return answer;
  }
  return std::nullopt;
}

// What the container is a member of, when that has a name of its own.
std::string label_of_origin(const Origin& origin, const Column<ClusterId, Identity>& named,
                            const Column<ClusterId, std::optional<Answer>>& answers) {
  if (!origin.owner.valid()) return origin.variable.empty() ? "" : " in " + origin.variable;
  const Identity& owner = named[origin.owner];
  const auto strong =
      std::find_if(owner.evidence.begin(), owner.evidence.end(), [&](const Evidence& evidence) {
        return evidence.label == owner.label && evidence.kind >= EvidenceKind::Fit;
      });
  std::string label = strong != owner.evidence.end() ? owner.label : "";
  if (label.empty() && answers[origin.owner]) label = base_label(answers[origin.owner]->part);
  return label.empty() ? "" : fmt::format(" in {} at +{:#x}", label, origin.offset);
}

std::optional<Evidence> evidence_for(const Answer& answer, const Claims& claims,
                                     const Column<ClusterId, Identity>& named,
                                     const Column<ClusterId, std::optional<Answer>>& answers) {
  const Claims::Claim& claim = claims.by_part[static_cast<size_t>(answer.part)];
  Evidence evidence;
  evidence.kind = EvidenceKind::Container;
  evidence.samples = answer.samples;
  evidence.agreeing = answer.agreeing;
  if (answer.part == ContainerPart::Functor) {
    const std::string* const type = agreed(claim.types, claim.found);
    if (type == nullptr) return std::nullopt;
    evidence.label = *type;
    evidence.detail = "a std::function that calls it points at such blocks";
    evidence.unites = true;
    return evidence;
  }
  const Origin* const origin = agreed(claim.origins, claim.found);
  const std::string place = origin == nullptr ? "" : label_of_origin(*origin, named, answers);
  evidence.label = base_label(answer.part) + place;
  evidence.unites = !place.empty();
  evidence.detail = claim.found == 0 ? "the links to parent and children agree"
                                     : "a container of that kind has such blocks";
  return evidence;
}

}  // namespace

Column<ClusterId, std::optional<Evidence>> recognise_containers(
    const Inputs& inputs, const Column<ClusterId, Identity>& named) {
  const size_t count = std::min(inputs.clusters.rows.size(), kMostIdentified);
  Column<ClusterId, std::optional<Evidence>> result(inputs.clusters.rows.size());
  if (!has_cpp_library(inputs)) return result;
  std::vector<Found> found(count + 1);
  parallel_for_pieces(count, kGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      if (may_own_containers(named[ClusterId(i)])) found[i] = look_at_cluster(inputs, ClusterId(i));
    }
  });
  if (any_reachable(inputs)) found[count] = look_at_roots(inputs);
  const Column<ClusterId, Claims> claims = collect_claims(inputs, found);
  Column<ClusterId, std::optional<Answer>> answers(inputs.clusters.rows.size());
  parallel_for(count, [&](size_t i) {
    const ClusterId id(i);
    answers[id] = choose_part(inputs, id, claims[id]);
  });
  for (size_t i = 0; i < count; ++i) {
    const ClusterId id(i);
    if (answers[id]) result[id] = evidence_for(*answers[id], claims[id], named, answers);
  }
  return result;
}

}  // namespace heapscan

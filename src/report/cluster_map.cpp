// A cluster from near: its typical block, word by word, and what its members add up to. The typical
// block is the sample whose words agree best with what most samples have at the same places; what
// the profile of all samples says stands beside it.
#include "heapscan/report/cluster_map.h"

#include <algorithm>
#include <vector>

#include "heapscan/identify/field_meaning.h"
#include "report/block_mapper.h"
#include "report/describe_parts.h"

namespace heapscan {

namespace {

constexpr uint64_t kCompared = 64 << 10;  // bytes of all samples

// How many words of a sample are of the kind that most samples have there.
size_t agreement(const Analysis& analysis, const AddressMap& addresses, const Profile& profile,
                 BlockId sample) {
  const Block& block = analysis.heap.block(sample);
  size_t agreeing = 0;
  for (const Field& field : profile.fields) {
    if (field.offset + 8 > block.size()) break;
    const auto word = analysis.image.read<uint64_t>(block.begin() + field.offset);
    if (word && addresses.kind_of(*word) == field.kind) ++agreeing;
  }
  return agreeing;
}

BlockId typical_sample(const Analysis& analysis, const AddressMap& addresses,
                       const Profile& profile, ClusterId cluster) {
  BlockId best;
  size_t most = 0;
  for (const BlockId sample : analysis.clusters.rows[cluster].samples) {
    const size_t agreeing = agreement(analysis, addresses, profile, sample);
    if (best.valid() && agreeing <= most) continue;
    best = sample;
    most = agreeing;
  }
  return best;
}

// The type of the blocks: what the label was found by, or the only one of that name that fits.
TypeId type_of(const Analysis& analysis, ClusterId cluster) {
  const Identity& identity = analysis.identities.rows[cluster];
  if (identity.type.valid() || identity.label.empty()) return identity.type;
  const std::vector<TypeId> named = analysis.types.named(identity.label);
  const auto& sizes = analysis.clusters.rows[cluster].sizes;
  if (named.size() != 1 || sizes.empty()) return TypeId::none();
  const bool fits = analysis.types.type(named.front()).size <= sizes.front().first;
  return fits ? named.front() : TypeId::none();
}

void describe_words(const Analysis& analysis, ClusterId cluster, bool content, double captured_at,
                    ClusterMap& map) {
  const AddressMap addresses(analysis.image, analysis.runtime, analysis.heap);
  const Profile profile = make_profile(analysis.image, addresses, analysis.heap,
                                       analysis.clusters.rows[cluster].samples, kCompared);
  map.samples = profile.samples;
  const BlockId sample = typical_sample(analysis, addresses, profile, cluster);
  if (!sample.valid()) return;
  const BlockMapper mapper(analysis, addresses, content, captured_at);
  BlockMap block = mapper.map(sample, type_of(analysis, cluster), &profile);
  map.example = block.begin;
  map.example_size = block.size;
  map.rows = std::move(block.rows);
  map.rows_end = block.rows_end;
}

// What the blocks of the cluster add up to, by verdict, and a few of them.
void describe_members(const Analysis& analysis, ClusterId cluster, ClusterMap& map) {
  std::array<VerdictTotal, kVerdictCount> totals{};
  VerdictTotal suppressed;
  const Clusters& clusters = analysis.clusters;
  const uint64_t count = clusters.rows[cluster].blocks;
  uint64_t number = 0;
  clusters.members.for_each([&](BlockId id, ClusterId of) {
    if (of != cluster) return;
    VerdictTotal& total = analysis.suppressed.has(id)
                              ? suppressed
                              : totals[static_cast<size_t>(analysis.reach.verdict(id))];
    ++total.blocks;
    total.bytes += analysis.heap.block(id).size();
    if (number * ClusterMap::kExamples >= map.examples.size() * count &&
        map.examples.size() < ClusterMap::kExamples) {
      map.examples.push_back(analysis.heap.block(id).begin());
    }
    ++number;
  });
  for (const Verdict verdict :
       {Verdict::Definite, Verdict::Indirect, Verdict::Possible, Verdict::Reachable}) {
    const VerdictTotal& total = totals[static_cast<size_t>(verdict)];
    if (total.blocks > 0) map.verdicts.emplace_back(name_of(verdict), total);
  }
  if (suppressed.blocks > 0) map.verdicts.emplace_back("suppressed", suppressed);
}

}  // namespace

ClusterMap map_cluster(const Analysis& analysis, ClusterId cluster, bool content,
                       double captured_at) {
  const Cluster& row = analysis.clusters.rows[cluster];
  ClusterMap map;
  map.id = id_of(analysis, cluster);
  map.label = label_of(analysis, cluster);
  map.shape = name_of(row.shape);
  map.blocks = row.blocks;
  map.bytes = row.bytes;
  map.sizes = row.sizes;
  map.identity = identity_of(analysis, cluster, content);
  describe_words(analysis, cluster, content, captured_at, map);
  map.parents = parents_of(analysis, cluster);
  map.children = children_of(analysis, cluster);
  describe_members(analysis, cluster, map);
  return map;
}

}  // namespace heapscan

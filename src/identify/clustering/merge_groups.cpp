// Only groups of one bucket (a shape, and of records a size) can be one cluster. Within a bucket
// the groups come largest first; each joins the cluster it agrees with best, or founds one. What
// the first groups could not know yet is made good afterwards: clusters that agree are joined, best
// pair first, until none does.
#include "identify/clustering/merge_groups.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "heapscan/base/parallel.h"
#include "identify/clustering/merge_sizes.h"
#include "identify/clustering/merge_texts.h"
#include "identify/clustering/module_tables.h"

namespace heapscan {

namespace {

constexpr size_t kMostClusters = 64;  // of one bucket
// Where groups are many, the later, small ones are not compared with everything.
constexpr size_t kThorough = 512;      // groups of a bucket
constexpr size_t kComparedLater = 24;  // clusters
constexpr uint64_t kOwnerShare = 10;   // an owner counts if it has one block in so many

struct Bucketed {
  uint64_t bucket = 0;
  uint32_t group = 0;
  uint32_t owner = 0;
};

// The clusters of one bucket while they grow.
class Merger {
 public:
  // Returns the cluster that the group went to. `kinds`: equal for groups that differ in little.
  uint32_t add(const ClusterEvidence& group, uint64_t kinds) {
    const bool is_thorough = ++groups_ <= kThorough;
    const auto known = of_kinds_.find(kinds);
    if (!is_thorough && known != of_kinds_.end()) return known->second;
    const uint32_t cluster = place(group, is_thorough ? clusters_.size() : kComparedLater);
    of_kinds_.try_emplace(kinds, cluster);
    return cluster;
  }

  // Joins clusters that agree; the result says which cluster each became, numbered without gaps.
  [[nodiscard]] std::vector<uint32_t> join() {
    const size_t count = clusters_.size();
    std::vector<uint32_t> into(count);
    for (size_t i = 0; i < count; ++i) into[i] = static_cast<uint32_t>(i);
    std::vector<float> agreement(count * count, 0);
    const auto compare = [&](size_t a, size_t b) {
      agreement[std::min(a, b) * count + std::max(a, b)] = clusters_[a].agreement(clusters_[b]);
    };
    for (size_t a = 0; a < count; ++a) {
      for (size_t b = a + 1; b < count; ++b) compare(a, b);
    }
    while (count > 1) {
      const auto best = std::max_element(agreement.begin(), agreement.end());
      if (*best <= 0) break;
      const auto at = static_cast<size_t>(best - agreement.begin());
      const size_t a = at / count;
      const size_t b = at % count;
      clusters_[a].add(clusters_[b]);
      for (uint32_t& cluster : into) {
        if (cluster == b) cluster = static_cast<uint32_t>(a);
      }
      for (size_t i = 0; i < count; ++i) {
        agreement[std::min(b, i) * count + std::max(b, i)] = 0;
        if (i != a && into[i] == i) compare(a, i);
      }
    }
    std::vector<uint32_t> number(count);
    uint32_t next = 0;
    for (size_t i = 0; i < count; ++i) number[i] = into[i] == i ? next++ : number[into[i]];
    return number;
  }

  [[nodiscard]] ClusterOutline outline(uint32_t cluster) const {
    return clusters_[cluster].outline();
  }

 private:
  uint32_t place(const ClusterEvidence& group, size_t compared) {
    size_t best = clusters_.size();
    float most = clusters_.size() < kMostClusters ? 0 : -1e9F;
    for (size_t i = 0; i < std::min(compared, clusters_.size()); ++i) {
      const float agreement = clusters_[i].agreement(group);
      if (agreement <= most) continue;
      most = agreement;
      best = i;
    }
    if (best == clusters_.size()) {
      clusters_.push_back(group);
    } else {
      clusters_[best].add(group);
    }
    return static_cast<uint32_t>(best);
  }

  size_t groups_ = 0;
  std::unordered_map<uint64_t, uint32_t> of_kinds_;  // the first group's cluster
  std::vector<ClusterEvidence> clusters_;
};

// Groups by bucket; within one by size, then by what does not depend on addresses.
std::vector<Bucketed> sort_into_buckets(const std::vector<SignatureGroup>& groups,
                                        std::span<const BlockId> blocks,
                                        const std::function<SignatureMaker()>& make_maker) {
  constexpr size_t kGroupsPerPiece = 1024;
  std::vector<Bucketed> bucketed(groups.size());
  parallel_for_pieces(groups.size(), kGroupsPerPiece, [&](size_t begin, size_t end) {
    SignatureMaker maker = make_maker();
    for (size_t i = begin; i < end; ++i) {
      const Signature signature = maker.signature_of(blocks[groups[i].example]);
      bucketed[i] = {signature.bucket(), static_cast<uint32_t>(i),
                     groups[i].is_rest() ? 0 : signature.owner};
    }
  });
  std::sort(bucketed.begin(), bucketed.end(), [&](const Bucketed& a, const Bucketed& b) {
    const SignatureGroup& x = groups[a.group];
    const SignatureGroup& y = groups[b.group];
    if (a.bucket != b.bucket) return a.bucket < b.bucket;
    if (x.blocks != y.blocks) return x.blocks > y.blocks;
    if (x.signature >> 32 != y.signature >> 32) return x.signature < y.signature;
    return x.example < y.example;
  });
  return bucketed;
}

// Owners that only a few blocks have may be the remains of something else.
std::set<uint32_t> main_owners(const std::vector<SignatureGroup>& groups,
                               std::span<const Bucketed> bucket) {
  std::unordered_map<uint32_t, uint64_t> blocks;
  uint64_t total = 0;
  for (const Bucketed& row : bucket) {
    blocks[row.owner] += groups[row.group].blocks;
    total += groups[row.group].blocks;
  }
  std::set<uint32_t> owners;
  for (const auto& [owner, count] : blocks) {
    if (count * kOwnerShare >= total) owners.insert(owner);
  }
  return owners;
}

// Of a group whose blocks differ in them.
void forget_identities(Signature& signature) {
  for (size_t i = 0; i < signature.traits; ++i) signature.trait[i].identity = 0;
  signature.owner = 0;
}

// Everything about one bucket.
struct Bucket {
  std::vector<uint32_t> cluster_of;      // one per group, in the order of the bucket
  std::vector<ClusterOutline> outlines;  // one per cluster
};

class BucketMerger {
 public:
  BucketMerger(const std::vector<SignatureGroup>& groups, std::span<const BlockId> blocks,
               SignatureMaker maker, ModuleTables tables)
      : groups_(groups), blocks_(blocks), maker_(std::move(maker)), tables_(std::move(tables)) {}

  [[nodiscard]] Bucket merge(std::span<const Bucketed> rows) {
    const std::set<uint32_t> owners = main_owners(groups_, rows);
    Merger merger;
    std::vector<TextGroup> members;
    Shape shape = Shape::Record;
    for (const Bucketed& row : rows) {
      const SignatureGroup& group = groups_[row.group];
      Signature signature = signature_of(group);
      shape = signature.shape;
      if (signature.says_little() && !owners.contains(signature.owner)) signature.owner = 0;
      uint64_t begin = 0;
      if (shape == Shape::Text) std::swap(begin, signature.trait[0].identity);
      const uint64_t kinds = mix(group.signature >> 32, signature.owner);
      const uint32_t cluster = merger.add(ClusterEvidence(signature, group.blocks), kinds);
      members.push_back({cluster, begin, group.blocks});
    }
    return collect(merger, std::move(members), shape);
  }

 private:
  [[nodiscard]] Signature signature_of(const SignatureGroup& group) {
    Signature signature = maker_.signature_of(blocks_[group.example]);
    if (group.is_rest()) forget_identities(signature);
    tables_.judge_constants(signature);
    return signature;
  }
  static Bucket collect(Merger& merger, std::vector<TextGroup> members, Shape shape) {
    const std::vector<uint32_t> joined = merger.join();
    uint32_t count = 1 + *std::max_element(joined.begin(), joined.end());
    Bucket bucket;
    bucket.outlines.resize(count);
    for (auto i = static_cast<uint32_t>(joined.size()); i-- > 0;)
      bucket.outlines[joined[i]] = merger.outline(i);
    for (TextGroup& member : members) member.cluster = joined[member.cluster];
    if (shape == Shape::Text) count = split_templates(members, count);
    bucket.outlines.resize(count);
    for (ClusterOutline& outline : bucket.outlines) outline.shape = shape;
    for (const TextGroup& member : members) bucket.cluster_of.push_back(member.cluster);
    return bucket;
  }

  const std::vector<SignatureGroup>& groups_;
  std::span<const BlockId> blocks_;
  SignatureMaker maker_;
  ModuleTables tables_;
};

// Where the buckets begin; one more at the end.
std::vector<size_t> begins_of(const std::vector<Bucketed>& rows) {
  std::vector<size_t> begins;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].bucket != rows[i - 1].bucket) begins.push_back(i);
  }
  begins.push_back(rows.size());
  return begins;
}

}  // namespace

MergedGroups merge_groups(const std::vector<SignatureGroup>& groups, const MemoryImage& image,
                          const Symbols& symbols, const AddressMap& addresses,
                          std::span<const BlockId> blocks,
                          const std::function<SignatureMaker()>& make_maker) {
  const std::vector<Bucketed> rows = sort_into_buckets(groups, blocks, make_maker);
  const std::vector<size_t> begins = begins_of(rows);
  std::vector<Bucket> buckets(begins.size() - 1);
  parallel_for(buckets.size(), [&](size_t i) {
    BucketMerger merger(groups, blocks, make_maker(), ModuleTables(image, symbols, addresses));
    buckets[i] = merger.merge(std::span(rows).subspan(begins[i], begins[i + 1] - begins[i]));
  });

  MergedGroups result;
  result.cluster_of.resize(groups.size());
  std::vector<ClusterOutline> outlines;
  for (size_t i = 0; i < buckets.size(); ++i) {
    const auto first = static_cast<uint32_t>(outlines.size());
    for (size_t k = 0; k < buckets[i].cluster_of.size(); ++k)
      result.cluster_of[rows[begins[i] + k].group] = first + buckets[i].cluster_of[k];
    outlines.insert(outlines.end(), buckets[i].outlines.begin(), buckets[i].outlines.end());
  }
  const std::vector<uint32_t> joined = join_sizes(outlines);
  for (uint32_t& cluster : result.cluster_of) cluster = joined[cluster];
  for (size_t i = 0; i < outlines.size(); ++i) {
    if (joined[i] == result.shapes.size()) result.shapes.push_back(outlines[i].shape);
  }
  return result;
}

}  // namespace heapscan

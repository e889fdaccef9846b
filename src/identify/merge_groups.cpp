// Only groups of one bucket (a shape, and of records a size) can be one cluster. Within a bucket
// the groups come largest first; each joins the cluster it agrees with best, or founds one. What
// the first groups could not know yet is made good afterwards: clusters that agree are joined, best
// pair first, until none does.
#include "identify/merge_groups.h"

#include <algorithm>
#include <unordered_map>

#include "heapscan/base/parallel.h"
#include "identify/merge_sizes.h"
#include "identify/merge_texts.h"
#include "identify/module_tables.h"

namespace heapscan {

namespace {

constexpr size_t kMostClusters = 96;  // of one bucket

struct Bucketed {
  uint64_t bucket = 0;
  uint32_t group = 0;
};

// The clusters of one bucket while they grow.
class Merger {
 public:
  // Returns the cluster that `group` went to.
  uint32_t add(const ClusterEvidence& group) {
    size_t best = clusters_.size();
    float most = clusters_.size() < kMostClusters ? 0 : -1e9F;
    for (size_t i = 0; i < clusters_.size(); ++i) {
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
      bucketed[i] = {maker.signature_of(blocks[groups[i].example]).bucket(),
                     static_cast<uint32_t>(i)};
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

// Of a group whose blocks differ in them.
void forget_identities(Signature& signature) {
  for (size_t i = 0; i < signature.traits; ++i) signature.trait[i].identity = 0;
  signature.owner = 0;
}

}  // namespace

MergedGroups merge_groups(const std::vector<SignatureGroup>& groups, const MemoryImage& image,
                          const Symbols& symbols, const AddressMap& addresses,
                          std::span<const BlockId> blocks,
                          const std::function<SignatureMaker()>& make_maker) {
  const std::vector<Bucketed> bucketed = sort_into_buckets(groups, blocks, make_maker);
  std::vector<size_t> begins;
  for (size_t i = 0; i < bucketed.size(); ++i) {
    if (i == 0 || bucketed[i].bucket != bucketed[i - 1].bucket) begins.push_back(i);
  }
  begins.push_back(bucketed.size());
  const size_t buckets = begins.size() - 1;

  MergedGroups result;
  result.cluster_of.resize(groups.size());
  std::vector<uint32_t> counts(buckets + 1);
  std::vector<std::vector<ClusterOutline>> outlines(buckets);
  parallel_for(buckets, [&](size_t bucket) {
    SignatureMaker maker = make_maker();
    ModuleTables tables(image, symbols, addresses);
    Merger merger;
    std::vector<TextGroup> members;
    Shape shape = Shape::Record;
    for (size_t i = begins[bucket]; i < begins[bucket + 1]; ++i) {
      const SignatureGroup& group = groups[bucketed[i].group];
      Signature signature = maker.signature_of(blocks[group.example]);
      shape = signature.shape;
      if (group.is_rest()) forget_identities(signature);
      tables.judge_constants(signature);
      uint64_t begin = 0;
      if (signature.shape == Shape::Text) std::swap(begin, signature.trait[0].identity);
      members.push_back(
          {merger.add(ClusterEvidence(signature, group.blocks)), begin, group.blocks});
    }
    const std::vector<uint32_t> joined = merger.join();
    for (TextGroup& member : members) member.cluster = joined[member.cluster];
    uint32_t count = 1 + *std::max_element(joined.begin(), joined.end());
    outlines[bucket].resize(count);
    for (uint32_t i = static_cast<uint32_t>(joined.size()); i-- > 0;)
      outlines[bucket][joined[i]] = merger.outline(i);
    if (shape == Shape::Text) {
      count = split_templates(members, count);
      outlines[bucket].resize(count);
    }
    for (ClusterOutline& outline : outlines[bucket]) outline.shape = shape;
    for (size_t i = 0; i < members.size(); ++i)
      result.cluster_of[bucketed[begins[bucket] + i].group] = members[i].cluster;
    counts[bucket + 1] = count;
  });
  std::vector<ClusterOutline> all;
  for (size_t bucket = 0; bucket < buckets; ++bucket) {
    for (size_t i = begins[bucket]; i < begins[bucket + 1]; ++i)
      result.cluster_of[bucketed[i].group] += counts[bucket];
    for (const ClusterOutline& outline : outlines[bucket]) all.push_back(outline);
    counts[bucket + 1] += counts[bucket];
  }
  const std::vector<uint32_t> joined = join_sizes(all);
  for (uint32_t& cluster : result.cluster_of) cluster = joined[cluster];
  result.shapes.resize(all.size());
  size_t count = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    result.shapes[joined[i]] = all[i].shape;
    count = std::max<size_t>(count, joined[i] + 1);
  }
  result.shapes.resize(count);
  return result;
}

}  // namespace heapscan

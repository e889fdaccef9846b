// glibc gives a chunk 16 bytes larger than asked for when the 16 that remain are less than the
// smallest chunk, 32. That happens to a few blocks of a kind, at random; where many are larger,
// or the additional words hold what a program writes, it is another kind.
#include "identify/clustering/merge_rests.h"

#include <algorithm>
#include <map>

namespace heapscan {

namespace {

constexpr size_t kRestWords = 2;
constexpr uint64_t kTimesRarer = 4;       // than the blocks of the usual size
constexpr uint64_t kTimesMuchRarer = 12;  // then what the additional words hold is left over,
constexpr uint64_t kMostAlike = 8;        // but hardly the same in more blocks than this
constexpr float kLeastAgreement = 1;
constexpr float kMoreThanOwn = 0.3F;  // for a stray to leave the cluster it is in

bool may_be_rests(const ClusterEvidence& larger, uint64_t blocks, const SizedCluster& usual) {
  if (blocks * kTimesRarer > usual.blocks) return false;
  const bool may_be_alike = blocks <= kMostAlike && blocks * kTimesMuchRarer <= usual.blocks;
  return may_be_alike || !larger.uses_last(kRestWords);
}

// The place in `usual` of the cluster that agrees best, and by more than `least`.
std::optional<size_t> best_of(std::span<const SizedCluster> usual, const ClusterEvidence& larger,
                              uint64_t blocks, float least) {
  std::optional<size_t> best;
  for (size_t i = 0; i < usual.size(); ++i) {
    if (!may_be_rests(larger, blocks, usual[i])) continue;
    const float agreement = usual[i].evidence->agreement_with_larger(larger);
    if (agreement <= least) continue;
    least = agreement;
    best = i;
  }
  return best;
}

}  // namespace

std::vector<Joined> find_rests(std::span<const SizedCluster> clusters) {
  std::map<uint64_t, std::vector<SizedCluster>> by_size;
  for (const SizedCluster& cluster : clusters) by_size[cluster.size].push_back(cluster);
  std::vector<Joined> joined;
  for (const auto& [size, larger] : by_size) {
    const auto usual = by_size.find(size - kRest);
    if (usual == by_size.end()) continue;
    for (const SizedCluster& cluster : larger) {
      const auto best = best_of(usual->second, *cluster.evidence, cluster.blocks, kLeastAgreement);
      if (best) joined.push_back({cluster.cluster, usual->second[*best].cluster});
    }
  }
  return joined;
}

StrayRests::StrayRests(std::vector<SizedCluster> usual)
    : usual_(std::move(usual)), strays_(usual_.size()) {}

void StrayRests::look_at(uint32_t group, const ClusterEvidence& evidence, uint64_t blocks,
                         float own_agreement) {
  const float least = std::max(kLeastAgreement, own_agreement + kMoreThanOwn);
  const auto best = best_of(usual_, evidence, blocks, least);
  if (!best) return;
  Strays& strays = strays_[*best];
  strays.groups.push_back(group);
  strays.blocks += blocks;
  if (strays.evidence) {
    strays.evidence->add(evidence);
  } else {
    strays.evidence = evidence;
  }
}

std::vector<Joined> StrayRests::found() const {
  std::vector<Joined> found;
  for (size_t i = 0; i < usual_.size(); ++i) {
    const Strays& strays = strays_[i];
    if (!strays.evidence || !may_be_rests(*strays.evidence, strays.blocks, usual_[i])) continue;
    for (const uint32_t group : strays.groups) found.push_back({group, usual_[i].cluster});
  }
  return found;
}

}  // namespace heapscan

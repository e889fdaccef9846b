// glibc gives a chunk 16 bytes larger than asked for when the 16 that remain are less than the
// smallest chunk, 32. That happens to a few blocks of a kind, at random; where many are larger,
// or the additional words hold what a program writes, it is another kind.
#include "identify/clustering/merge_rests.h"

#include <algorithm>
#include <map>

namespace heapscan {

namespace {

constexpr uint64_t kRest = 16;  // bytes
constexpr size_t kRestWords = 2;
constexpr uint64_t kTimesRarer = 4;       // than the blocks of the usual size
constexpr uint64_t kTimesMuchRarer = 12;  // then what the additional words hold is left over
constexpr float kLeastAgreement = 1;

bool may_be_rests(const SizedCluster& larger, const SizedCluster& usual) {
  if (larger.blocks * kTimesRarer > usual.blocks) return false;
  return larger.blocks * kTimesMuchRarer <= usual.blocks || !larger.evidence->uses_last(kRestWords);
}

}  // namespace

std::vector<Joined> find_rests(const std::vector<SizedCluster>& clusters) {
  std::map<uint64_t, std::vector<const SizedCluster*>> by_size;
  for (const SizedCluster& cluster : clusters) by_size[cluster.size].push_back(&cluster);
  std::vector<Joined> joined;
  for (const auto& [size, larger] : by_size) {
    const auto usual = by_size.find(size - kRest);
    if (usual == by_size.end()) continue;
    for (const SizedCluster* const cluster : larger) {
      const SizedCluster* best = nullptr;
      float most = kLeastAgreement;
      for (const SizedCluster* const other : usual->second) {
        if (!may_be_rests(*cluster, *other)) continue;
        const float agreement = other->evidence->agreement_with_larger(*cluster->evidence);
        if (agreement <= most) continue;
        most = agreement;
        best = other;
      }
      if (best != nullptr) joined.push_back({cluster->cluster, best->cluster});
    }
  }
  return joined;
}

}  // namespace heapscan

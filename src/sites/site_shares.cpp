// A call claims a block that holds every constant which the call stores, if such constants are rare among
// other blocks of the size. Where each block is claimed by one call only, and hardly any by none, the
// calls made them between them: their constants tell the blocks apart, as the tag of a node does.
#include "sites/site_shares.h"

#include <algorithm>
#include <cmath>

#include "sites/site_weights.h"

namespace heapscan {

namespace {

constexpr size_t kFewestClaimed = 2;      // samples, by a call
constexpr double kNearlyAll = 0.9;        // of the samples
constexpr double kRareTogether = 3.5;     // natural logarithm
constexpr uint32_t kNobody = UINT32_MAX;  // claims the sample
constexpr uint32_t kSeveral = UINT32_MAX - 1;

bool tells_blocks_apart(const Written& written) {
  return !written.is_own_address && written.values.size() == 1 && written.values[0] != 0;
}

// How much of a chance it would be that a block has all that the call stores.
double rarity(const std::vector<Written>& fields, const std::vector<BlockBytes>& others) {
  double sum = 0;
  for (const Written& field : fields) {
    if (!tells_blocks_apart(field)) continue;
    const double usual = share_of(others, field).value(kUsualNumber);
    sum -= std::log(std::clamp(usual, 0.002, 1.0));
  }
  return sum;
}

bool claims(const std::vector<Written>& fields, const BlockBytes& block) {
  return std::all_of(fields.begin(), fields.end(), [&](const Written& field) {
    return !tells_blocks_apart(field) || share_of({block}, field).yes == 1;
  });
}

}  // namespace

std::vector<SiteShare> find_shares(const std::vector<SiteMatch>& candidates,
                                   const std::vector<BlockBytes>& samples,
                                   const std::vector<BlockBytes>& others,
                                   const std::vector<std::vector<Written>>& written) {
  const bool is_answered = std::any_of(candidates.begin(), candidates.end(),
                                       [](const SiteMatch& m) { return m.is_answer(); });
  if (is_answered || samples.size() < kFewestSamples) return {};
  std::vector<uint32_t> claimed_by(samples.size(), kNobody);
  for (uint32_t c = 0; c < candidates.size(); ++c) {
    const std::vector<Written>& fields = written[candidates[c].site.index()];
    if (rarity(fields, others) < kRareTogether) continue;
    for (size_t i = 0; i < samples.size(); ++i) {
      if (claims(fields, samples[i])) claimed_by[i] = claimed_by[i] == kNobody ? c : kSeveral;
    }
  }
  std::vector<SiteShare> shares(candidates.size());
  for (const uint32_t c : claimed_by) {
    if (c < candidates.size()) ++shares[c].claimed;
  }
  uint32_t claimed = 0;
  for (uint32_t c = 0; c < candidates.size(); ++c) {
    shares[c].site = candidates[c].site;
    shares[c].samples = static_cast<uint32_t>(samples.size());
    if (shares[c].claimed >= kFewestClaimed) claimed += shares[c].claimed;
  }
  std::erase_if(shares, [](const SiteShare& s) { return s.claimed < kFewestClaimed; });
  if (shares.size() < 2 || claimed < kNearlyAll * static_cast<double>(samples.size())) return {};
  std::sort(shares.begin(), shares.end(), [](const SiteShare& a, const SiteShare& b) {
    return a.claimed != b.claimed ? a.claimed > b.claimed : a.site < b.site;
  });
  return shares;
}

}  // namespace heapscan

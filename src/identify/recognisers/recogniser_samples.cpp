#include "identify/recognisers/recogniser_samples.h"

#include <algorithm>

namespace heapscan {

std::vector<Sample> samples_of(const Inputs& inputs, ClusterId cluster) {
  std::vector<Sample> samples;
  for (const BlockId id : inputs.clusters.rows[cluster].samples) {
    const Block& block = inputs.heap.block(id);
    const uint64_t wanted = std::min(block.size(), Sample::kSampledBytes);
    const auto bytes = inputs.image.view(AddrRange::sized(block.begin(), wanted));
    if (bytes) samples.push_back({id, block.begin(), block.size(), *bytes});
  }
  return samples;
}

}  // namespace heapscan

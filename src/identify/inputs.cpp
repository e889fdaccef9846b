#include "identify/inputs.h"

#include <algorithm>

namespace heapscan {

std::optional<Sample> sample_of(const FamilyInputs& inputs, BlockId id) {
  const Block& block = inputs.heap.block(id);
  const uint64_t wanted = std::min(block.size(), Sample::kSampledBytes);
  const auto bytes = inputs.image.view(AddrRange::sized(block.begin(), wanted));
  if (!bytes) return std::nullopt;
  return Sample{id, block.begin(), block.size(), *bytes};
}

std::vector<Sample> samples_of(const FamilyInputs& inputs, FamilyId family) {
  std::vector<Sample> samples;
  for (const BlockId id : inputs.families.rows[family].samples) {
    if (const auto sample = sample_of(inputs, id)) samples.push_back(*sample);
  }
  return samples;
}

}  // namespace heapscan

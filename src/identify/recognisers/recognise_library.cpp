// Asks every known struct about the samples of a cluster, the cheapest test (their size) first.
#include <algorithm>

#include "identify/recognisers/library_structs.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

std::optional<Evidence> ask(const Inputs& inputs, std::span<const Sample> samples,
                            const KnownStruct& known) {
  const auto agreeing =
      static_cast<size_t>(std::count_if(samples.begin(), samples.end(), [&](const Sample& sample) {
        return is_one(inputs, sample, known);
      }));
  if (!nearly_all(agreeing, samples.size())) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Library;
  evidence.label = known.label;
  evidence.detail = known.detail;
  evidence.samples = static_cast<uint32_t>(samples.size());
  evidence.agreeing = static_cast<uint32_t>(agreeing);
  evidence.unites = true;
  return evidence;
}

bool may_be(const Cluster& cluster, const KnownStruct& known) {
  return !cluster.sizes.empty() && cluster.sizes.front().first <= known.max_size &&
         cluster.sizes.back().first >= known.min_size;
}

}  // namespace

bool is_one(const Inputs& inputs, const Sample& sample, const KnownStruct& known) {
  return sample.size >= known.min_size && sample.size <= known.max_size &&
         known.is_one(inputs, sample);
}

std::optional<Evidence> recognise_known(const Inputs& inputs, ClusterId cluster,
                                        std::span<const Sample> samples,
                                        std::span<const KnownStruct> structs) {
  if (samples.empty()) return std::nullopt;
  for (const KnownStruct& known : structs) {
    if (!may_be(inputs.clusters.rows[cluster], known)) continue;
    if (auto evidence = ask(inputs, samples, known)) return evidence;
  }
  return std::nullopt;
}

std::optional<Evidence> recognise_library(const Inputs& inputs, ClusterId cluster) {
  const std::vector<Sample> samples = samples_of(inputs, cluster);
  for (const auto structs : {stdio_structs(), c_library_structs(), runtime_structs(),
                             openssl_structs(), other_structs()}) {
    if (auto evidence = recognise_known(inputs, cluster, samples, structs)) return evidence;
  }
  return std::nullopt;
}

}  // namespace heapscan

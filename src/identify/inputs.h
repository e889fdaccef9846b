// What every recogniser is given, the samples as it looks at them, and what agreement means.
//
// A recogniser is one file with one function: it looks at the samples of one family and returns
// its evidence, or nothing. It may look at anything in Inputs, reads memory through the image, and
// never at more than the samples and what lies one bounded walk behind them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/families.h"
#include "heapscan/identify/field_meaning.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"
#include "heapscan/identify/requests.h"

namespace heapscan {

// What is there as soon as it is known which blocks look alike.
struct FamilyInputs {
  const MemoryImage& image;
  const Symbols& symbols;
  const RuntimeFacts& runtime;
  const HeapModel& heap;
  const Roots& roots;
  const Reachability& reach;
  const Families& families;
  const AddressMap& addresses;
};

struct Inputs : FamilyInputs {
  const Types& types;
  const Column<FamilyId, Profile>& profiles;
};

struct Sample {
  BlockId block;
  Addr begin;
  uint64_t size = 0;  // usable bytes of the block
  Bytes bytes;        // its first bytes, at most kSampledBytes
  static constexpr uint64_t kSampledBytes = 4096;

  [[nodiscard]] std::optional<uint64_t> word(uint64_t offset) const {
    return read_at<uint64_t>(bytes, offset);
  }
};

// Families that are asked about, largest first; further ones go without a name.
inline constexpr size_t kMostIdentified = 10'000;

// Nothing when it is not saved.
[[nodiscard]] std::optional<Sample> sample_of(const FamilyInputs& inputs, BlockId id);
// Those that are saved.
[[nodiscard]] std::vector<Sample> samples_of(const FamilyInputs& inputs, FamilyId family);

// A label needs this much agreement of the samples asked: one in twenty may be damaged or half
// made.
[[nodiscard]] constexpr bool nearly_all(size_t agreeing, size_t asked) {
  return agreeing > 0 && agreeing * 20 >= asked * 19;
}

// What is said of each sample, and of how many; what says nothing is left out.
template <typename F>
[[nodiscard]] auto count_answers(std::span<const Sample> samples, F&& answer_of) {
  using Answer = std::invoke_result_t<F, const Sample&>;
  std::map<Answer, uint32_t> answers;
  for (const Sample& sample : samples) ++answers[answer_of(sample)];
  answers.erase(Answer{});
  return answers;
}

// Of such answers; there must be one.
template <typename Answer>
[[nodiscard]] const std::pair<const Answer, uint32_t>& commonest(
    const std::map<Answer, uint32_t>& answers) {
  return *std::max_element(answers.begin(), answers.end(),
                           [](const auto& a, const auto& b) { return a.second < b.second; });
}

}  // namespace heapscan

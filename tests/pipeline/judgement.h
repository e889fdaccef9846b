// What an analysis says of a process, in a form in which two of them can be compared, and be held
// against what the program knows itself.
#pragma once

#include <array>
#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "support/fixture_process.h"

namespace heapscan {

enum class Door { Live, Core };

struct JudgedBlock {
  Addr address;
  uint64_t size = 0;
  Verdict verdict = Verdict::NotJudged;
  bool is_mapping = false;
  std::string group = {};  // fingerprint and label of its cluster; empty when it is in none
  auto operator<=>(const JudgedBlock&) const = default;
};

// Everything that must not depend on the door or on the number of threads.
struct Judgement {
  std::array<VerdictTotal, kVerdictCount> totals{};
  std::array<VerdictTotal, kVerdictCount> mapping_totals{};
  std::vector<JudgedBlock> unreached;  // lost and possible blocks and mappings, by address
};

// Without the blocks that `truth` says only the kernel holds: a core does not know them.
[[nodiscard]] Judgement judgement_of(const Analysis& analysis, const Truth& truth);

// Each difference in a sentence; nothing when they are equal.
[[nodiscard]] std::vector<std::string> differences(const Judgement& expected, const Judgement& got);

// How exact the truth is.
enum class Coverage {
  Whole,   // whatever is not listed is reachable or free
  Heads,   // as Whole, but that a library took more memory for what is listed: that is indirect
  Moving,  // the program goes on allocating: whatever is not listed is not lost
};

// Each contradiction between the analysis and the program's own words, with all that is needed to
// see why.
[[nodiscard]] std::vector<std::string> contradictions(const Analysis& analysis, const Truth& truth,
                                                      Door door, Coverage coverage);

// Of a core that lacks memory: each block called lost that is not, each block in use that was not
// found.
[[nodiscard]] std::vector<std::string> false_alarms(const Analysis& analysis, const Truth& truth);

// The block `id` and what holds it, what holds that, and so on up to a root.
[[nodiscard]] std::string explain(const Analysis& analysis, BlockId id);

// The first lines of `problems`, and how many there are.
[[nodiscard]] std::string listing(std::string_view title, const std::vector<std::string>& problems);

}  // namespace heapscan

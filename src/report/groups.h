// Blocks that belong together: those of one verdict and one size.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/report.h"

namespace heapscan {

constexpr size_t kReasonCount = static_cast<size_t>(Reason::ViaPossible) + 1;

struct BlockGroup {
  Verdict verdict = Verdict::Definite;
  uint64_t size = 0;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  VerdictTotal indirect;                         // what is reached only through its blocks
  std::array<uint64_t, kReasonCount> reasons{};  // of possible blocks: how many for each Reason
  std::vector<BlockId> members;                  // the first few, sorted
};

constexpr size_t kMembersShown = 10;

// The same for every heap, run and host: made of the verdict's name and the size.
[[nodiscard]] std::string group_id(Verdict verdict, uint64_t size);

struct GroupList {
  std::vector<BlockGroup>
      groups;  // at most options.top of lost, possible and reachable ones each, in that order
  uint64_t left_out = 0;  // groups beyond that
};

[[nodiscard]] GroupList make_groups(const Analysis& analysis, const ReportOptions& options);

}  // namespace heapscan

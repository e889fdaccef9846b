// Blocks that belong together: those of one verdict and one cluster.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/report.h"

namespace heapscan {

constexpr size_t kReasonCount = static_cast<size_t>(Reason::BesideReserved) + 1;

struct BlockGroup {
  Verdict verdict = Verdict::Definite;
  ClusterId cluster;
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  VerdictTotal indirect;                         // what is reached only through its blocks
  VerdictTotal indirect_alike;                   // of that, blocks of the same cluster
  VerdictTotal kind_total;                       // all that is lost of the cluster
  std::array<uint64_t, kReasonCount> reasons{};  // of possible blocks: how many for each Reason
  std::map<uint32_t, uint64_t> stale;            // of lost ones: how many a stale store still names
  std::vector<BlockId> members;                  // the first few, sorted
};

constexpr size_t kMembersShown = 10;

struct GroupList {
  std::vector<BlockGroup>
      groups;  // at most options.top of lost, possible and reachable ones each, in that order
  GroupsLeftOut left_out;
};

// Of options.cluster alone, if that is set, in whatever verdicts its blocks have.
[[nodiscard]] GroupList make_groups(const Analysis& analysis, const ReportOptions& options);

// The usable sizes of the blocks of each group, with their numbers; sorted by size.
[[nodiscard]] std::vector<std::vector<std::pair<uint64_t, uint64_t>>> sizes_of(
    const Analysis& analysis, const ReportOptions& options, const std::vector<BlockGroup>& groups);

}  // namespace heapscan

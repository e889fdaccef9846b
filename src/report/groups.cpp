#include "report/describe_parts.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "heapscan/report/block_listing.h"

namespace heapscan {

namespace {

BlockListing::Filter filter_of(const ReportOptions& options) {
  BlockListing::Filter filter;
  filter.verdicts = options.group_kinds();
  filter.min_size = options.min_size;
  filter.max_size = options.max_size;
  filter.cluster = options.cluster;
  return filter;
}

// f(block, cluster) for every block that some group of such a report holds.
template <typename F>
void for_each_grouped(const Analysis& analysis, const BlockListing::Filter& filter, F&& f) {
  analysis.clusters.members.for_each([&](BlockId block, ClusterId cluster) {
    if (filter.admits(analysis, block, cluster)) f(block, cluster);
  });
}

// Which row of a list stands for a verdict and a cluster.
class GroupNumbers {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};
  explicit GroupNumbers(size_t clusters) : numbers_(clusters * kVerdictCount, kNone) {}
  [[nodiscard]] uint32_t& of(Verdict verdict, ClusterId cluster) {
    return numbers_[cluster.index() * kVerdictCount + static_cast<size_t>(verdict)];
  }

 private:
  std::vector<uint32_t> numbers_;
};

class GroupMaker {
 public:
  GroupMaker(const Analysis& analysis, const ReportOptions& options)
      : analysis_(analysis), filter_(filter_of(options)), numbers_(analysis.clusters.rows.size()) {}

  [[nodiscard]] std::vector<BlockGroup> make() {
    for_each_grouped(analysis_, filter_,
                     [&](BlockId block, ClusterId cluster) { add(block, cluster); });
    for (const LostBlock& lost : analysis_.reach.lost) {
      if (lost.block != lost.head) credit_head(lost);
    }
    total_kinds();
    for (const PossibleBlock& possible : analysis_.reach.possible) count_reason(possible);
    for (const StaleHeld& held : analysis_.reach.stale_held) count_stale(held);
    return std::move(groups_);
  }

 private:
  void add(BlockId block, ClusterId cluster) {
    const Verdict verdict = analysis_.reach.verdict(block);
    uint32_t& number = numbers_.of(verdict, cluster);
    if (number == GroupNumbers::kNone) {
      number = static_cast<uint32_t>(groups_.size());
      groups_.emplace_back();
      groups_.back().verdict = verdict;
      groups_.back().cluster = cluster;
    }
    BlockGroup& group = groups_[number];
    ++group.blocks;
    group.bytes += analysis_.heap.block(block).size();
    if (group.members.size() < kMembersShown) group.members.push_back(block);
  }

  // The group that a block is in; null when it is in none.
  BlockGroup* group_of(BlockId block) {
    const ClusterId cluster = analysis_.clusters.of(block);
    if (!cluster.valid() || !filter_.admits(analysis_, block, cluster)) return nullptr;
    return &groups_[numbers_.of(analysis_.reach.verdict(block), cluster)];
  }

  void credit_head(const LostBlock& lost) {
    const Block& block = analysis_.heap.block(lost.block);
    if (!lost.head.valid() || block.state() != BlockState::Used) return;
    if (analysis_.suppressed.has(lost.block)) return;
    if (lost.head != last_head_) {
      last_head_ = lost.head;
      last_group_ = group_of(lost.head);
    }
    if (last_group_ == nullptr) return;
    add(block, last_group_->indirect);
    if (analysis_.clusters.of(lost.block) == last_group_->cluster)
      add(block, last_group_->indirect_alike);
  }

  // What hangs below others counts as well: of a thousand documents most may hang below the few
  // that are found first, or below something else.
  void total_kinds() {
    BlockListing::Filter lost = filter_;
    lost.verdicts = {Verdict::Definite, Verdict::Indirect};
    for_each_grouped(analysis_, lost, [&](BlockId block, ClusterId cluster) {
      const uint32_t number = numbers_.of(Verdict::Definite, cluster);
      if (number == GroupNumbers::kNone) return;
      BlockGroup& group = groups_[number];
      const uint64_t size = analysis_.heap.block(block).size();
      auto& [smallest, largest] = group.kind_sizes;
      smallest = group.kind_total.blocks == 0 ? size : std::min(smallest, size);
      largest = std::max(largest, size);
      add(analysis_.heap.block(block), group.kind_total);
    });
  }

  static void add(const Block& block, VerdictTotal& total) {
    ++total.blocks;
    total.bytes += block.size();
  }

  void count_reason(const PossibleBlock& possible) {
    const auto reason = static_cast<size_t>(possible.reason);
    if (reason >= kReasonCount) return;
    if (BlockGroup* const group = group_of(possible.block)) ++group->reasons[reason];
  }

  void count_stale(const StaleHeld& held) {
    if (BlockGroup* const group = group_of(held.block)) ++group->stale[held.store];
  }

  const Analysis& analysis_;
  const BlockListing::Filter filter_;
  GroupNumbers numbers_;
  std::vector<BlockGroup> groups_;
  BlockId last_head_;  // many blocks in a row have one head
  BlockGroup* last_group_ = nullptr;
};

// Lost groups come first, then possible, then reachable ones.
size_t section_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::Definite:
    case Verdict::Indirect:
      return 0;
    case Verdict::Possible:
      return 1;
    case Verdict::Reachable:
    case Verdict::NotJudged:
      break;
  }
  return 2;
}

// Smaller sorts first. Addresses settle ties, so the order never depends on anything else.
auto rank(const BlockGroup& group, SortBy sort) {
  const uint64_t weight = sort == SortBy::ByCount ? std::max(group.blocks, group.kind_total.blocks)
                                                  : group.bytes + group.indirect.bytes;
  return std::tuple(section_of(group.verdict), ~weight, ~group.bytes,
                    -static_cast<int>(group.verdict), group.members.front());
}

// Keeps the first `top` of each section; `groups` are sorted.
GroupsLeftOut cut_sections(std::vector<BlockGroup>& groups, size_t top) {
  GroupsLeftOut left_out;
  const std::array sections = {&left_out.lost, &left_out.possible, &left_out.reachable};
  size_t kept = 0;
  size_t in_section = 0;
  size_t section = sections.size();
  for (size_t i = 0; i < groups.size(); ++i) {
    if (section_of(groups[i].verdict) != section) in_section = 0;
    section = section_of(groups[i].verdict);
    if (in_section++ >= top) {
      ++*sections[section];
      continue;
    }
    if (kept != i) groups[kept] = std::move(groups[i]);
    ++kept;
  }
  groups.resize(kept);
  return left_out;
}

}  // namespace

GroupList make_groups(const Analysis& analysis, const ReportOptions& options) {
  GroupList list;
  list.groups = GroupMaker(analysis, options).make();
  std::sort(list.groups.begin(), list.groups.end(), [&](const BlockGroup& a, const BlockGroup& b) {
    return rank(a, options.sort) < rank(b, options.sort);
  });
  list.left_out = cut_sections(list.groups, options.top);
  return list;
}

std::vector<std::vector<std::pair<uint64_t, uint64_t>>> sizes_of(
    const Analysis& analysis, const ReportOptions& options, const std::vector<BlockGroup>& groups) {
  std::vector<std::vector<std::pair<uint64_t, uint64_t>>> sizes(groups.size());
  GroupNumbers numbers(analysis.clusters.rows.size());
  bool any = false;
  for (size_t i = 0; i < groups.size(); ++i) {
    const Cluster& cluster = analysis.clusters.rows[groups[i].cluster];
    if (groups[i].blocks == cluster.blocks) {
      sizes[i] = cluster.sizes;
    } else {
      numbers.of(groups[i].verdict, groups[i].cluster) = static_cast<uint32_t>(i);
      any = true;
    }
  }
  if (!any) return sizes;
  std::vector<std::map<uint64_t, uint64_t>> counts(groups.size());
  for_each_grouped(analysis, filter_of(options), [&](BlockId block, ClusterId cluster) {
    const uint32_t number = numbers.of(analysis.reach.verdict(block), cluster);
    if (number != GroupNumbers::kNone) ++counts[number][analysis.heap.block(block).size()];
  });
  for (size_t i = 0; i < groups.size(); ++i) {
    if (!counts[i].empty()) sizes[i].assign(counts[i].begin(), counts[i].end());
  }
  return sizes;
}

}  // namespace heapscan

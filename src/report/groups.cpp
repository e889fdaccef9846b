#include "report/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>

namespace heapscan {

namespace {

class GroupMaker {
 public:
  GroupMaker(const Analysis& analysis, const ReportOptions& options)
      : heap_(analysis.heap),
        reach_(analysis.reach),
        filter_{options.group_kinds(), options.group_kinds(), options.min_size, options.max_size} {}

  void add_lost() {
    for (const LostBlock& lost : reach_.lost) add(lost.block);
    for (const LostBlock& lost : reach_.lost) {
      if (lost.block != lost.head) credit_head(lost);
    }
  }
  void add_possible() {
    for (const PossibleBlock& possible : reach_.possible) {
      BlockGroup* const group = add(possible.block);
      const auto reason = static_cast<size_t>(possible.reason);
      if (group != nullptr && reason < kReasonCount) ++group->reasons[reason];
    }
  }
  void add_reachable() {
    for (size_t i = 0; i < reach_.verdicts.size(); ++i) {
      if (reach_.verdicts[i] == Verdict::Reachable) add(BlockId(i));
    }
  }
  [[nodiscard]] std::vector<BlockGroup> take() {
    std::vector<BlockGroup> groups;
    groups.reserve(groups_.size());
    for (auto& [key, group] : groups_) groups.push_back(std::move(group));
    groups_.clear();
    return groups;
  }

 private:
  static uint64_t key_of(Verdict verdict, uint64_t size) {
    return size << 3 | static_cast<uint64_t>(verdict);
  }

  BlockGroup* add(BlockId id) {
    const Block& block = heap_.block(id);
    const Verdict verdict = reach_.verdict(id);
    if (!filter_.admits(block, verdict)) return nullptr;
    BlockGroup& group = groups_[key_of(verdict, block.size())];
    group.verdict = verdict;
    group.size = block.size();
    ++group.blocks;
    group.bytes += block.size();
    if (group.members.size() < kMembersShown) group.members.push_back(id);
    return &group;
  }

  void credit_head(const LostBlock& lost) {
    if (!lost.head.valid() || heap_.block(lost.block).state() != BlockState::Used) return;
    const auto found =
        groups_.find(key_of(reach_.verdict(lost.head), heap_.block(lost.head).size()));
    if (found == groups_.end()) return;
    ++found->second.indirect.blocks;
    found->second.indirect.bytes += heap_.block(lost.block).size();
  }

  const HeapModel& heap_;
  const Reachability& reach_;
  const BlockListing::Filter filter_;
  std::unordered_map<uint64_t, BlockGroup> groups_;
};

// Lost groups come first, then possible, then reachable ones.
int section_of(Verdict verdict) {
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

// Smaller sorts first. The members' sizes and addresses settle ties, so the order never depends on
// a hash table's.
auto rank(const BlockGroup& group, SortBy sort) {
  const uint64_t weight =
      sort == SortBy::ByCount ? group.blocks : group.bytes + group.indirect.bytes;
  return std::tuple(section_of(group.verdict), ~weight, ~group.size,
                    -static_cast<int>(group.verdict), group.members.front());
}

// Keeps the first `top` of each section; `groups` are sorted.
uint64_t cut_sections(std::vector<BlockGroup>& groups, size_t top) {
  size_t kept = 0;
  size_t in_section = 0;
  int section = -1;
  const size_t before = groups.size();
  for (size_t i = 0; i < before; ++i) {
    if (section_of(groups[i].verdict) != section) in_section = 0;
    section = section_of(groups[i].verdict);
    if (in_section++ >= top) continue;
    if (kept != i) groups[kept] = std::move(groups[i]);
    ++kept;
  }
  groups.resize(kept);
  return before - kept;
}

}  // namespace

std::string group_id(Verdict verdict, uint64_t size) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : fmt::format("{} {}", name_of(verdict), size)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return fmt::format("{:08x}", static_cast<uint32_t>(hash ^ hash >> 32));
}

GroupList make_groups(const Analysis& analysis, const ReportOptions& options) {
  GroupMaker maker(analysis, options);
  maker.add_lost();
  maker.add_possible();
  if (options.group_kinds().has(Verdict::Reachable)) maker.add_reachable();

  GroupList list;
  list.groups = maker.take();
  std::sort(list.groups.begin(), list.groups.end(), [&](const BlockGroup& a, const BlockGroup& b) {
    return rank(a, options.sort) < rank(b, options.sort);
  });
  list.left_out = cut_sections(list.groups, options.top);
  return list;
}

}  // namespace heapscan

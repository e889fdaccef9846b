#include "heapscan/report/changes.h"

#include <algorithm>
#include <map>

#include "heapscan/base/error.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/names.h"
#include "report/describe_parts.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

constexpr uint64_t kFewestStale = 64;                  // blocks
constexpr uint64_t kFewestLeaked = 2;                  // more blocks, of what stands first
constexpr uint64_t kWorthAReason = uint64_t{1} << 20;  // bytes that malloc keeps

uint64_t bytes_for(const MemoryAccount& account, Cause cause, bool is_resident) {
  const auto bytes = [&](MemoryUse use) {
    const MemoryUseRow& row = account.of(use);
    return is_resident ? row.resident_bytes.value_or(0) : row.mapped_bytes;
  };
  switch (cause) {
    case Cause::Leak:
      return bytes(MemoryUse::HeapLost) + bytes(MemoryUse::LostMappings);
    case Cause::HeldGrowth:  // with the headers of its blocks
      return bytes(MemoryUse::HeapInUse) + bytes(MemoryUse::HeapOverhead);
    case Cause::Hoarding:
      return bytes(MemoryUse::HeapFree);
    case Cause::Mappings:
      return bytes(MemoryUse::OtherAnonymous);
    case Cause::Shared:
      return bytes(MemoryUse::Shared);
    case Cause::Stacks:
      return bytes(MemoryUse::Stacks);
    case Cause::Other:
      return bytes(MemoryUse::ModuleData) + bytes(MemoryUse::Code) + bytes(MemoryUse::Files);
  }
  return 0;
}

std::vector<CauseRow> find_causes(const MemoryAccount& before, const MemoryAccount& after,
                                  bool is_resident) {
  std::vector<CauseRow> rows;
  for (size_t i = 0; i < kCauses; ++i) {
    const auto cause = static_cast<Cause>(i);
    rows.push_back(
        {cause, bytes_for(before, cause, is_resident), bytes_for(after, cause, is_resident)});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const CauseRow& a, const CauseRow& b) { return a.growth() > b.growth(); });
  return rows;
}

// Block -> the row of the root that alone leads to it, or, where several roots do, of the block that
// all of them lead to first; kWhole: there is none.
std::vector<RetainedRow> holders_by_block(const Analysis& analysis) {
  const Retained& retained = analysis.holding->retained;
  std::vector<RetainedRow> of_row(retained.first_leaf(), Retained::kWhole);
  std::vector<RetainedRow> of_block(analysis.heap.blocks.size(), Retained::kWhole);
  retained.for_each_row([&](RetainedRow row) {
    const RetainedRow parent = retained.parent(row);
    const bool is_first = row != Retained::kWhole && of_row[parent] == Retained::kWhole &&
                          !retained.owner(row).valid() && !retained.is_unexplained(row);
    const RetainedRow holder = is_first ? row : of_row[parent];
    if (row < of_row.size()) of_row[row] = holder;
    if (retained.block(row).valid()) of_block[retained.block(row).index()] = holder;
  });
  return of_block;
}

// Of two processes only the main arenas are the same thing.
std::vector<HoardRow> find_hoards(const LookSummary& before, const LookSummary& after,
                                  bool is_same) {
  std::vector<HoardRow> hoards;
  for (const ArenaRow& arena : after.arenas) {
    uint64_t was = 0;
    for (const ArenaRow& other : before.arenas) {
      const bool is_it = is_same ? other.state == arena.state : other.is_main && arena.is_main;
      if (is_it) was += other.free_bytes;
    }
    if (arena.free_bytes >= was + kWorthAReason) hoards.push_back({arena, was});
  }
  std::stable_sort(hoards.begin(), hoards.end(), [](const HoardRow& a, const HoardRow& b) {
    return a.arena.free_bytes - a.was > b.arena.free_bytes - b.was;
  });
  if (hoards.size() > ChangeReport::kHoards) hoards.resize(ChangeReport::kHoards);
  return hoards;
}

uint64_t leaked_growth(const KindChange& change) {
  return change.lost_now.bytes - std::min(change.lost_now.bytes, change.lost_before.bytes);
}

bool is_stale(const KindChange& change) {
  const VerdictTotal& was = change.was;
  const uint64_t reachable = change.is.blocks - change.lost_now.blocks;
  return was.blocks >= kFewestStale && change.growth() > 0 && 2 * reachable > change.is.blocks &&
         10 * change.unchanged.blocks >= 9 * was.blocks;
}

}  // namespace

const char* name_of(Cause cause) {
  static constexpr std::array<const char*, kCauses> kNames = {
      "leaked", "held by the program", "kept free by malloc", "in other mappings", "shared memory",
      "stacks", "code, data and files"};
  return kNames[static_cast<size_t>(cause)];
}

namespace {

using HolderOfCluster = std::map<ClusterId, RetainedRow>;

// Through which row alone most of each cluster's new bytes are reachable.
HolderOfCluster main_holders(const Analysis& after, const Imprint& imprint, const Delta& delta) {
  const std::vector<RetainedRow> holder_of = holders_by_block(after);
  std::map<std::pair<ClusterId, RetainedRow>, uint64_t> bytes;
  for (size_t i = 0; i < imprint.rows.size(); ++i) {
    const ImprintRow& row = imprint.rows[i];
    if (delta.fate_after[i] != Fate::Born || !row.cluster.valid()) continue;
    const RetainedRow holder = holder_of[row.block.index()];
    if (holder != Retained::kWhole && after.holding->retained.block(holder) != row.block)
      bytes[{row.cluster, holder}] += row.size;
  }
  std::map<ClusterId, uint64_t> most;
  HolderOfCluster best;
  for (const auto& [key, sum] : bytes) {
    if (sum <= most[key.first]) continue;
    most[key.first] = sum;
    best[key.first] = key.second;
  }
  return best;
}

// In which containers of its holder a cluster's new bytes lie.
struct BornBelow {
  uint64_t bytes = 0;
  std::map<uint32_t, uint64_t> in_place;
};

// "shop: state, in std::deque<Job> state.jobs: 300 entries"; of a block its container says more than its
// address.
std::string spelled_holder(const Analysis& after, RetainedRow holder, const BornBelow& born,
                           const std::vector<HeldShare>& shares) {
  const std::string name = name_of_holder(after, holder);
  for (const HeldShare& share : shares) {
    const auto in = born.in_place.find(share.place);
    if (in == born.in_place.end() || 2 * in->second < born.bytes) continue;
    const std::string container = describe_container(after, holder, share).name;
    return after.holding->retained.block(holder).valid() ? container : name + ", in " + container;
  }
  return name;
}

}  // namespace

HoldersOfBorn find_holders_of_born(const Analysis& after, const Imprint& imprint,
                                   const Delta& delta) {
  HS_CHECK(after.holding.has_value());
  const HolderOfCluster best = main_holders(after, imprint, delta);
  std::vector<RetainedRow> holders;
  for (const auto& [cluster, holder] : best) holders.push_back(holder);
  std::sort(holders.begin(), holders.end());
  holders.erase(std::unique(holders.begin(), holders.end()), holders.end());

  BlockBitmap born(after.heap.blocks.size());
  for (size_t i = 0; i < imprint.rows.size(); ++i) {
    if (delta.fate_after[i] == Fate::Born) born.set(imprint.rows[i].block);
  }
  std::map<ClusterId, BornBelow> below;
  const auto shares =
      container_shares(after.image, after.heap, after.holding->retained, after.holding->containers,
                       holders, [&](BlockId block, size_t holder, uint32_t place) {
                         if (!born.test(block)) return;
                         const auto main = best.find(after.clusters.of(block));
                         if (main == best.end() || main->second != holders[holder]) return;
                         BornBelow& row = below[main->first];
                         const uint64_t bytes = after.heap.block(block).size();
                         row.bytes += bytes;
                         if (place != RetainedNode::kNoPlace) row.in_place[place] += bytes;
                       });
  HoldersOfBorn names;
  for (const auto& [cluster, holder] : best) {
    const auto at = std::lower_bound(holders.begin(), holders.end(), holder);
    names[cluster] = spelled_holder(after, holder, below[cluster],
                                    shares[static_cast<size_t>(at - holders.begin())]);
  }
  return names;
}

LookSummary summarize_look(const CaptureFacts& facts, const Analysis& analysis, bool content) {
  LookSummary summary;
  summary.facts = escaped_facts(facts);
  summary.account = account_memory(analysis);
  summary.arenas = describe_kept_free(analysis).arenas;
  summary.ended_threads = describe_ended_threads(analysis);
  summary.is_resident = analysis.image.residency().has_value();
  for (size_t i = 0; i < analysis.clusters.rows.size(); ++i)
    summary.groups.push_back({id_of(analysis, ClusterId(i)), label_of(analysis, ClusterId(i)),
                              kind_of_label(analysis, ClusterId(i)),
                              answered_site(analysis, ClusterId(i))});
  summary.notes = escaped_notes(analysis.notes(), analysis.image, content);
  return summary;
}

bool leaks(const KindChange& change) {
  return leaked_growth(change) > 0 &&
         change.lost_now.blocks >= change.lost_before.blocks + kFewestLeaked;
}

void show_largest(ChangeReport& report, size_t top) {
  std::vector<size_t> leaking;
  for (size_t i = 0; i < report.rows.size(); ++i) {
    if (leaks(report.rows[i].change)) leaking.push_back(i);
  }
  std::stable_sort(leaking.begin(), leaking.end(), [&](size_t a, size_t b) {
    return leaked_growth(report.rows[a].change) > leaked_growth(report.rows[b].change);
  });
  leaking.resize(std::min(leaking.size(), top - top / 2));
  std::vector<size_t> order = leaking;
  std::sort(leaking.begin(), leaking.end());
  for (size_t i = 0; i < report.rows.size(); ++i) {
    if (!std::binary_search(leaking.begin(), leaking.end(), i)) order.push_back(i);
  }
  const size_t shown = std::min(top, order.size());
  std::vector<ChangeRow> rows;
  for (size_t i = 0; i < shown; ++i) rows.push_back(std::move(report.rows[order[i]]));
  report.left_out += order.size() - shown;
  report.rows = std::move(rows);
}

ChangeReport describe_changes(const LookSummary& before, const LookSummary& after,
                              const Delta& delta, const HoldersOfBorn& holders,
                              const ChangesOptions& options) {
  ChangeReport report;
  report.before = before.facts;
  report.after = after.facts;
  report.seconds = std::max(0.0, after.facts.captured_at - before.facts.captured_at);
  report.is_same_process = delta.is_same_process;
  report.command = options.command;
  report.verbose = options.verbose;
  report.notes = after.notes;
  report.is_resident = before.is_resident && after.is_resident;
  report.memory = after.account;
  report.causes = find_causes(before.account, after.account, report.is_resident);
  report.hoards = find_hoards(before, after, delta.is_same_process);
  report.ended_before = before.ended_threads;
  report.ended_after = after.ended_threads;
  report.all = delta.all;
  for (const KindChange& change : delta.kinds) {
    if (options.new_only && change.was.blocks > 0) continue;
    const bool is_still = change.growth() == 0 && change.born.blocks + change.gone.blocks == 0;
    if (is_still && !leaks(change) && !options.with_still) continue;
    ChangeRow row;
    const LookSummary::Group& named =
        change.after.valid() ? after.groups[change.after] : before.groups[change.before];
    row.cluster = named.id;
    row.label = named.label;
    row.kind = named.kind;
    row.site = named.site;
    row.change = change;
    row.is_stale = delta.is_same_process && is_stale(change);
    row.grew = change.growth() > 0 ? 1 : 0;
    if (const auto holder = holders.find(change.after); holder != holders.end())
      row.holder = holder->second;
    report.rows.push_back(std::move(row));
  }
  show_largest(report, options.top);
  return report;
}

}  // namespace heapscan

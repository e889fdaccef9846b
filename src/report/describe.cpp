#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "heapscan/base/text.h"
#include "heapscan/report/report.h"
#include "report/content.h"
#include "report/evidence.h"
#include "report/groups.h"

namespace heapscan {

namespace {

CaptureFacts escaped_facts(CaptureFacts facts) {
  facts.command = escaped(facts.command);
  facts.executable = escaped(facts.executable);
  facts.source = escaped(facts.source);
  return facts;
}

Notes escaped_notes(Notes notes) {
  for (Note& note : notes) {
    note.where = escaped(note.where);
    note.text = escaped(note.text);
  }
  return notes;
}

std::vector<Check> escaped_checks(std::vector<Check> checks) {
  for (Check& check : checks) {
    check.name = escaped(check.name);
    check.detail = escaped(check.detail);
  }
  return checks;
}

void describe_heap(const Analysis& analysis, Report& report) {
  const HeapModel& heap = analysis.heap;
  report.allocator = escaped(heap.allocator);
  report.version = escaped(heap.version);
  report.layout_source = name_of(heap.layout_source);
  report.found_by = escaped(heap.found_by);
  report.arenas = heap.arenas.size();
  report.checks = escaped_checks(heap.checks);
  report.heap = heap.totals;
  for (const Region& region : analysis.image.regions()) report.mapped_bytes += region.range.size();
  for (const AddrRange& range : heap.damaged) report.damaged_bytes += range.size();
  report.missing_bytes = analysis.image.missing_bytes();
}

// What the members shown begin with, if all of them begin like strings: the same one or each its
// own.
void label_by_words(const Analysis& analysis, const BlockGroup& from, LeakGroup& group) {
  bool same = true;
  for (const BlockId member : from.members) {
    const std::string words =
        preview_content(analysis.image, analysis.heap.block(member).range()).words;
    if (words.empty()) return;
    same = same && words == group.content_words;
  }
  group.label = same ? group.content_words : "text such as " + group.content_words;
  group.label_shows_content = true;
}

void describe_content(const Analysis& analysis, const BlockGroup& from, LeakGroup& group) {
  ContentPreview preview =
      preview_content(analysis.image, analysis.heap.block(from.members.front()).range());
  group.content_hex = std::move(preview.hex);
  group.content_text = std::move(preview.text);
  group.content_words = std::move(preview.words);
  group.content_inner = std::move(preview.inner);
  label_by_words(analysis, from, group);
}

LeakGroup describe_group(const Analysis& analysis, const BlockGroup& from,
                         const HolderTable& holders, bool content) {
  LeakGroup group;
  group.id = group_id(from.verdict, from.size);
  group.verdict = from.verdict;
  group.blocks = from.blocks;
  group.bytes = from.bytes;
  group.indirect = from.indirect;
  group.sizes = {{from.size, from.blocks}};
  group.label = fmt::format("{}-byte blocks", from.size);
  group.evidence = explain_group(analysis, from, holders);
  group.example = analysis.heap.block(from.members.front()).begin();
  for (const BlockId member : from.members)
    group.members_shown.push_back(analysis.heap.block(member).begin());
  if (content) describe_content(analysis, from, group);
  return group;
}

std::optional<uint64_t> resident_bytes(const MemoryImage& image, AddrRange range) {
  if (!image.residency()) return std::nullopt;
  uint64_t bytes = 0;
  const auto& resident = image.residency()->resident;
  auto at = std::partition_point(resident.begin(), resident.end(),
                                 [&](const AddrRange& r) { return r.end() <= range.begin(); });
  for (; at != resident.end() && at->begin() < range.end(); ++at)
    bytes += at->intersect(range).size();
  return bytes;
}

bool lists_mapping(const ReportOptions& options, Verdict verdict) {
  const VerdictSet kinds = options.group_kinds();
  return kinds.has(verdict) || (verdict == Verdict::Indirect && kinds.has(Verdict::Definite));
}

std::vector<BlockId> mappings_to_list(const Analysis& analysis, const ReportOptions& options) {
  std::vector<BlockId> mappings;
  for (size_t i = 0; i < analysis.reach.verdicts.size(); ++i) {
    const Block& block = analysis.heap.blocks[i];
    if (block.state() != BlockState::Mapping || !lists_mapping(options, analysis.reach.verdicts[i]))
      continue;
    if (block.size() < options.min_size || block.size() > options.max_size) continue;
    mappings.push_back(BlockId(i));
  }
  std::sort(mappings.begin(), mappings.end(), [&](BlockId a, BlockId b) {
    return std::tuple(~analysis.heap.block(a).size(), a) <
           std::tuple(~analysis.heap.block(b).size(), b);
  });
  return mappings;
}

MappingRow describe_mapping(const Analysis& analysis, BlockId id, const HolderTable& holders) {
  const Block& block = analysis.heap.block(id);
  MappingRow row;
  row.address = block.begin();
  row.size = block.size();
  row.verdict = analysis.reach.verdict(id);
  row.resident_bytes = resident_bytes(analysis.image, block.range());
  row.evidence =
      row.verdict == Verdict::Reachable ? std::string() : explain_mapping(analysis, id, holders);
  return row;
}

BlockListing::Filter listing_filter(const ReportOptions& options) {
  return {options.block_kinds(), options.group_kinds(), options.min_size, options.max_size};
}

// Lost and possible blocks of the listing.
void add_listed(const Analysis& analysis, const BlockListing::Filter& filter,
                std::vector<BlockId>& wanted) {
  const auto add = [&](BlockId id) {
    if (wanted.size() < kMostHolders &&
        filter.admits(analysis.heap.block(id), analysis.reach.verdict(id))) {
      wanted.push_back(id);
    }
  };
  for (const LostBlock& lost : analysis.reach.lost) add(lost.block);
  for (const PossibleBlock& possible : analysis.reach.possible) add(possible.block);
}

// What the groups, mappings and rows of the report have to be asked about: one search of the memory
// serves all.
std::vector<BlockId> blocks_to_look_up(const Analysis& analysis, const ReportOptions& options,
                                       const GroupList& groups,
                                       const std::vector<BlockId>& mappings) {
  std::vector<BlockId> wanted;
  for (const BlockGroup& group : groups.groups) {
    if (group.verdict == Verdict::Reachable) continue;
    const size_t count = std::min(group.members.size(), kMembersExplained);
    wanted.insert(wanted.end(), group.members.begin(),
                  group.members.begin() + static_cast<ptrdiff_t>(count));
  }
  for (const BlockId mapping : mappings) {
    if (analysis.reach.verdict(mapping) != Verdict::Reachable) wanted.push_back(mapping);
  }
  if (options.blocks != BlockList::None) add_listed(analysis, listing_filter(options), wanted);
  return wanted;
}

}  // namespace

VerdictSet ReportOptions::group_kinds() const {
  return kinds.value_or(VerdictSet{Verdict::Definite, Verdict::Possible});
}

VerdictSet ReportOptions::block_kinds() const {
  if (blocks == BlockList::None) return {};
  if (kinds) return *kinds;
  if (blocks == BlockList::Lost) return {Verdict::Definite, Verdict::Indirect};
  return {Verdict::Definite, Verdict::Indirect, Verdict::Possible, Verdict::Reachable};
}

bool Report::anything_definitely_lost() const {
  constexpr auto kDefinite = static_cast<size_t>(Verdict::Definite);
  return verdicts[kDefinite].blocks > 0 || mapping_verdicts[kDefinite].blocks > 0;
}

Report describe(const CaptureFacts& target, const Analysis& analysis,
                const ReportOptions& options) {
  Report report;
  report.options = options;
  report.target = escaped_facts(target);
  report.threads = analysis.image.threads().size();
  describe_heap(analysis, report);
  report.verdicts = analysis.reach.totals;
  const std::vector<PossibleBlock>& possible = analysis.reach.possible;
  report.possible_for_lack_of_memory = static_cast<uint64_t>(
      std::count_if(possible.begin(), possible.end(),
                    [](const PossibleBlock& b) { return b.reason == Reason::MissingMemory; }));
  report.mapping_verdicts = analysis.reach.mapping_totals;
  report.notes = escaped_notes(analysis.notes());
  report.funnel = analysis.reach.funnel;
  report.timing = analysis.timing;

  const GroupList groups = make_groups(analysis, options);
  const std::vector<BlockId> mappings = mappings_to_list(analysis, options);
  HolderTable holders =
      look_up_holders(analysis, blocks_to_look_up(analysis, options, groups, mappings));
  for (const BlockGroup& group : groups.groups) {
    report.leaks.push_back(describe_group(analysis, group, holders, options.content));
  }
  report.groups_left_out = groups.left_out;
  for (const BlockId mapping : mappings)
    report.mappings.push_back(describe_mapping(analysis, mapping, holders));
  if (options.blocks != BlockList::None) {
    report.blocks = BlockListing(analysis, listing_filter(options), std::move(holders));
  }
  return report;
}

}  // namespace heapscan

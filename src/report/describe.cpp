#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <tuple>

#include "heapscan/base/text.h"
#include "heapscan/identify/field_meaning.h"
#include "heapscan/identify/words.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/report.h"
#include "report/describe_parts.h"
#include "report/report_parts.h"
#include "report/text_parts.h"

namespace heapscan {

namespace {

// ---- groups ------------------------------------------------------------------------------------

constexpr size_t kParentsNamed = 3;

double share_of(const Report& report, const LeakGroup& group) {
  uint64_t all = total_of(report.verdicts, group.verdict).bytes;
  if (group.verdict == Verdict::Definite) all += total_of(report.verdicts, Verdict::Indirect).bytes;
  if (group.verdict == Verdict::Indirect) all += total_of(report.verdicts, Verdict::Definite).bytes;
  const uint64_t part = group.bytes + group.indirect.bytes;
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

// The cluster's samples that are in the group, or its first members when none is.
std::vector<AddrRange> sampled_blocks(const Analysis& analysis, const BlockGroup& from) {
  std::vector<AddrRange> blocks;
  for (const BlockId sample : analysis.clusters.rows[from.cluster].samples) {
    if (analysis.reach.verdict(sample) == from.verdict && !analysis.suppressed.has(sample)) {
      blocks.push_back(analysis.heap.block(sample).range());
    }
  }
  if (!blocks.empty()) return blocks;
  for (const BlockId member : from.members) blocks.push_back(analysis.heap.block(member).range());
  return blocks;
}

// What blocks of a known struct stand for.
std::string spelled_known(const Analysis& analysis, ClusterId cluster,
                          const std::vector<AddrRange>& blocks) {
  constexpr size_t kExamples = 2;
  constexpr size_t kLongestBegin = 12;  // "subject CN=" is no begin that says anything
  std::vector<std::string> texts;
  for (const AddrRange& block : blocks) {
    std::string text =
        text_of_known(analysis.image, analysis.identities.rows[cluster].label, block);
    if (!text.empty()) texts.push_back(std::move(text));
  }
  if (texts.empty()) return "";
  return spelled_texts({texts.begin(), texts.end()}, kLongestBegin + 1, kExamples);
}

void describe_content(const Analysis& analysis, const AddressMap& addresses, const BlockGroup& from,
                      LeakGroup& group) {
  ContentPreview preview =
      preview_content(analysis.image, analysis.heap.block(from.members.front()).range());
  group.content_hex = std::move(preview.hex);
  group.content_text = std::move(preview.text);
  const std::vector<AddrRange> blocks = sampled_blocks(analysis, from);
  const std::string known = spelled_known(analysis, from.cluster, blocks);
  if (!known.empty()) group.strings.push_back(known);
  const Shape shape = analysis.clusters.rows[from.cluster].shape;
  if (shape == Shape::Untouched) return;  // what it holds is an earlier owner's
  const bool is_text = shape == Shape::Text;
  for (std::string& text : common_strings(analysis.image, addresses, blocks, is_text))
    group.strings.push_back(std::move(text));
  for (std::string& text : pointed_texts(analysis, addresses, blocks))
    group.strings_behind.push_back(std::move(text));
  if (from.verdict != Verdict::Definite || from.indirect.blocks == 0) return;
  std::string below = texts_below(analysis, addresses, from);
  if (!below.empty()) group.strings_behind.push_back(std::move(below));
}

void name_parents(const Analysis& analysis, LeakGroup& group, ClusterId cluster) {
  for (const Relation& parent : parents_of(analysis, cluster)) {
    if (group.child_of.size() == kParentsNamed) break;
    group.child_of.push_back(spelled_parent(parent));
  }
}

LeakGroup describe_group(const Analysis& analysis, const AddressMap& addresses,
                         const BlockGroup& from, const HolderTable& holders, const Report& report) {
  LeakGroup group;
  group.id = id_of(analysis, from.cluster);
  group.verdict = from.verdict;
  group.blocks = from.blocks;
  group.bytes = from.bytes;
  group.indirect = from.indirect;
  group.indirect_alike = from.indirect_alike;
  group.kind_total = from.kind_total;
  group.kind_sizes = from.kind_sizes;
  group.share = share_of(report, group);
  group.label = label_of(analysis, from.cluster);
  group.identity = identity_of(analysis, from.cluster, report.options.content);
  group.sites = sites_of(analysis, from.cluster, report.options.verbose);
  group.reasons = explain_group(analysis, from, holders);
  group.pointers = common_pointers(analysis, addresses, from.cluster, report.options.content);
  describe_below(analysis, from, group);
  if (from.verdict == Verdict::Indirect) name_parents(analysis, group, from.cluster);
  group.example = analysis.heap.block(from.members.front()).begin();
  for (const BlockId member : from.members)
    group.members_shown.push_back(analysis.heap.block(member).begin());
  if (report.options.content) describe_content(analysis, addresses, from, group);
  return group;
}

// Appends to report.leaks; report.options and report.verdicts are filled in already.
void describe_groups(const Analysis& analysis, const std::vector<BlockGroup>& groups,
                     const HolderTable& holders, Report& report) {
  if (groups.empty()) return;
  const AddressMap addresses(analysis.image, analysis.runtime, analysis.heap);
  auto sizes = sizes_of(analysis, report.options, groups);
  for (size_t i = 0; i < groups.size(); ++i) {
    LeakGroup group = describe_group(analysis, addresses, groups[i], holders, report);
    group.sizes = std::move(sizes[i]);
    report.leaks.push_back(std::move(group));
  }
}

// ---- the rest ----------------------------------------------------------------------------------

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

void take_out(VerdictTotal& total, uint64_t bytes) {
  --total.blocks;
  total.bytes -= bytes;
}

// Moves suppressed blocks and mappings out of the totals of their verdicts.
void describe_suppressed(const Analysis& analysis, Report& report) {
  for (const BlockId id : analysis.suppressed.blocks) {
    const Block& block = analysis.heap.block(id);
    const bool is_mapping = block.state() == BlockState::Mapping;
    const auto verdict = static_cast<size_t>(analysis.reach.verdict(id));
    take_out((is_mapping ? report.mapping_verdicts : report.verdicts)[verdict], block.size());
    VerdictTotal& total = is_mapping ? report.suppressed_mappings : report.suppressed;
    ++total.blocks;
    total.bytes += block.size();
  }
}

// Rules that left nothing out are told of where the user wrote them: they may be out of date.
void describe_rules(const Analysis& analysis, const ReportOptions& options, Report& report) {
  std::vector<const UsedSuppression*> uses(options.suppressions.size());
  for (const UsedSuppression& used : analysis.suppressed.used) {
    HS_CHECK(used.rule < options.suppressions.size());
    uses[used.rule] = &used;
  }
  for (size_t i = 0; i < uses.size(); ++i) {
    const SuppressionRule& rule = options.suppressions[i];
    SuppressionRow row{escaped(fmt::format("{}:{}", name_of(rule.kind), rule.pattern)),
                       escaped(rule.source),
                       rule.reason,
                       0,
                       0,
                       false};
    if (uses[i] != nullptr) {
      row.blocks = uses[i]->blocks;
      row.bytes = uses[i]->bytes;
      row.is_by_code = uses[i]->is_by_code;
      report.suppressions.push_back(std::move(row));
    } else if (rule.reason.empty()) {
      report.unused_suppressions.push_back(std::move(row));
    }
  }
}

uint64_t possible_for_lack_of_memory(const Analysis& analysis) {
  const std::vector<PossibleBlock>& possible = analysis.reach.possible;
  return static_cast<uint64_t>(
      std::count_if(possible.begin(), possible.end(), [&](const PossibleBlock& b) {
        return b.reason == Reason::MissingMemory && !analysis.suppressed.has(b.block);
      }));
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
  if (options.cluster.valid()) return mappings;
  for (size_t i = 0; i < analysis.reach.verdicts.size(); ++i) {
    const Block& block = analysis.heap.blocks[i];
    if (block.state() != BlockState::Mapping || analysis.suppressed.has(BlockId(i))) continue;
    if (!lists_mapping(options, analysis.reach.verdicts[i])) continue;
    if (block.size() < options.min_size || block.size() > options.max_size) continue;
    mappings.push_back(BlockId(i));
  }
  std::sort(mappings.begin(), mappings.end(), [&](BlockId a, BlockId b) {
    return std::tuple(~analysis.heap.block(a).size(), a) <
           std::tuple(~analysis.heap.block(b).size(), b);
  });
  return mappings;
}

MappingRow describe_mapping(const Analysis& analysis, BlockId id, const HolderTable& holders,
                            bool content) {
  const Block& block = analysis.heap.block(id);
  MappingRow row;
  row.address = block.begin();
  row.size = block.size();
  row.verdict = analysis.reach.verdict(id);
  row.resident_bytes = resident_bytes(analysis.image, block.range());
  row.reason =
      row.verdict == Verdict::Reachable ? std::string() : explain_mapping(analysis, id, holders);
  row.kind = kind_of_mapping(analysis.image, block.begin());
  if (!content) return row;
  ContentPreview preview = preview_content(analysis.image, block.range());
  row.content_hex = std::move(preview.hex);
  row.content_text = std::move(preview.text);
  return row;
}

BlockListing::Filter listing_filter(const ReportOptions& options) {
  BlockListing::Filter filter;
  filter.verdicts = options.block_kinds();
  filter.min_size = options.min_size;
  filter.max_size = options.max_size;
  filter.cluster = options.cluster;
  filter.suppressed_as_well = options.blocks == BlockList::All && !options.kinds;
  return filter;
}

// Lost and possible blocks of the listing.
void add_listed(const Analysis& analysis, const BlockListing::Filter& filter,
                std::vector<BlockId>& wanted) {
  const auto add = [&](BlockId id) {
    if (wanted.size() < kMostHolders && filter.admits(analysis, id)) {
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
  if (kinds) return *kinds;
  if (!cluster.valid()) return {Verdict::Definite, Verdict::Possible};
  return {Verdict::Definite, Verdict::Indirect, Verdict::Possible, Verdict::Reachable};
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

bool Report::fails() const { return gate ? gate->fails : anything_definitely_lost(); }

Report describe(const CaptureFacts& target, const Analysis& analysis,
                const ReportOptions& options) {
  Report report;
  report.options = options;
  report.target = escaped_facts(target);
  report.threads = analysis.image.threads().size();
  describe_heap(analysis, report);
  report.verdicts = analysis.reach.totals;
  report.mapping_verdicts = analysis.reach.mapping_totals;
  describe_suppressed(analysis, report);
  describe_rules(analysis, options, report);
  report.possible_for_lack_of_memory = possible_for_lack_of_memory(analysis);
  report.memory = account_memory(analysis);
  report.kept_free = describe_kept_free(analysis);
  report.kept_free.is_large &= is_much_of(report.memory, analysis.free_memory);
  report.ended_threads = describe_ended_threads(analysis);
  report.holders = describe_holders(analysis);
  if (analysis.holding) {
    const Retained& retained = analysis.holding->retained;
    report.held = {retained.blocks(), retained.bytes()};
  }
  report.notes = escaped_notes(analysis.notes(), analysis.image, options.content);
  report.funnel = analysis.reach.funnel;
  report.timing = analysis.timing;

  const GroupList groups = make_groups(analysis, options);
  const std::vector<BlockId> mappings = mappings_to_list(analysis, options);
  HolderTable holders =
      look_up_holders(analysis, blocks_to_look_up(analysis, options, groups, mappings));
  describe_groups(analysis, groups.groups, holders, report);
  report.groups_left_out = groups.left_out;
  judge_gate(analysis, report);
  if (options.cluster.valid()) {
    report.cluster = map_cluster(analysis, options.cluster, options.content, target.captured_at);
  }
  for (const BlockId mapping : mappings)
    report.mappings.push_back(describe_mapping(analysis, mapping, holders, options.content));
  for (const MergedArea& area : analysis.merged_areas) {
    const Block& block = analysis.heap.block(area.mapping);
    report.areas.push_back({block.begin(), block.size(), area.period, area.parts, area.places,
                            area.unnamed, area.unnamed_bytes});
  }
  if (options.blocks != BlockList::None) {
    report.blocks = BlockListing(analysis, listing_filter(options), std::move(holders));
  }
  return report;
}

}  // namespace heapscan

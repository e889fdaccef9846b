#include "report/describe_groups.h"

#include <fmt/format.h>

#include "heapscan/identify/known_texts.h"
#include "heapscan/identify/words.h"
#include "report/below.h"
#include "report/content.h"
#include "report/pointers.h"
#include "report/reasons.h"
#include "report/text_style.h"
#include "report/texts_behind.h"

namespace heapscan {

namespace {

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
  group.share = share_of(report, group);
  group.label = label_of(analysis, from.cluster);
  group.identity = identity_of(analysis, from.cluster, report.options.content);
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

}  // namespace

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

}  // namespace heapscan

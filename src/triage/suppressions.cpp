// Rules are held against clusters, since names belong to clusters; only sizes are a block's own.
// From the blocks that match, a search follows every word that points at or into another lost or
// possibly lost block, as the search from the roots would have done: had the program kept the
// block, those would not be lost.
#include "heapscan/triage/suppressions.h"

#include <fmt/format.h>

#include <algorithm>

#include "heapscan/base/bytes.h"
#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/identify/field_meaning.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/triage/name_pattern.h"

namespace heapscan {

namespace {

constexpr size_t kNoRule = ~size_t{0};

// What most blocks of a cluster point at.
struct Mentions {
  std::vector<std::string> names;  // of functions and objects, as in the file and demangled
  std::vector<std::string> modules;
};

// The first rule that all blocks of a cluster match.
struct ClusterRule {
  size_t rule = kNoRule;
  bool is_by_code = false;  // for nothing but the code that allocated them
};

Mentions mentions_of(const MemoryImage& image, const Symbols& symbols, const Profile& profile) {
  Mentions mentions;
  for (const Field& field : profile.fields) {
    if (field.common.is_null() || size_t{field.common_count} * 2 <= profile.samples) continue;
    if (const auto hit = symbols.at(field.common)) {
      mentions.names.push_back(hit->name);
      mentions.names.push_back(name_of_symbol(hit->name));
    }
    if (const Module* const module = image.module_at(field.common)) {
      mentions.modules.push_back(module->path);
    }
  }
  return mentions;
}

class Rules {
 public:
  explicit Rules(const std::vector<SuppressionRule>& rules) : rules_(rules) {
    for (const SuppressionRule& rule : rules) patterns_.emplace_back(rule.pattern);
  }
  [[nodiscard]] bool ask_for_mentions() const {
    return std::any_of(rules_.begin(), rules_.end(), [](const SuppressionRule& rule) {
      return rule.kind == SuppressionKind::Leak || rule.kind == SuppressionKind::Module;
    });
  }
  // For blocks of such a cluster. `code`: names of what allocated them.
  [[nodiscard]] ClusterRule match(const std::string& id, const std::string& label,
                                  const Mentions& mentions,
                                  const std::vector<std::string>& code) const {
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (matches(i, id, label, mentions)) return {i, false};
      if (rules_[i].kind == SuppressionKind::Leak && matches_any(i, code)) return {i, true};
    }
    return {};
  }
  // The first rule that asks for blocks of that size.
  [[nodiscard]] size_t match(uint64_t size) const {
    for (size_t i = 0; i < rules_.size(); ++i) {
      const SuppressionRule& rule = rules_[i];
      if (rule.kind == SuppressionKind::Size && size >= rule.min_size && size <= rule.max_size)
        return i;
    }
    return kNoRule;
  }

 private:
  [[nodiscard]] bool matches(size_t i, const std::string& id, const std::string& label,
                             const Mentions& mentions) const {
    switch (rules_[i].kind) {
      case SuppressionKind::Leak:
        return patterns_[i].matches(label) || matches_any(i, mentions.names) ||
               matches_any(i, mentions.modules);
      case SuppressionKind::Type:
        return patterns_[i].matches(label);
      case SuppressionKind::Module:
        return matches_any(i, mentions.modules);
      case SuppressionKind::Id:
        return id.starts_with(rules_[i].pattern);
      case SuppressionKind::Size:
        return false;
    }
    return false;
  }

  [[nodiscard]] bool matches_any(size_t i, const std::vector<std::string>& names) const {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return patterns_[i].matches(name); });
  }

  const std::vector<SuppressionRule>& rules_;
  std::vector<NamePattern> patterns_;
};

using ClusterRules = Column<ClusterId, ClusterRule>;

ClusterRules match_clusters(const Rules& rules, const MemoryImage& image, const Symbols& symbols,
                            const RuntimeFacts& runtime, const HeapModel& heap,
                            const Clusters& clusters, const Identities& identities,
                            const AllocatingCode& code) {
  ClusterRules matched(clusters.rows.size());
  const std::vector<std::string> unknown;
  const bool with_mentions = rules.ask_for_mentions();
  const AddressMap addresses(image, runtime, heap);
  parallel_for(clusters.rows.size(), [&](size_t i) {
    const ClusterId id(i);
    Mentions mentions;
    if (with_mentions) {
      mentions = mentions_of(image, symbols,
                             make_profile(image, addresses, heap, clusters.rows[id].samples));
    }
    matched[id] =
        rules.match(fmt::format("{:016x}", clusters.rows[id].fingerprint),
                    identities.rows[id].label, mentions, i < code.size() ? code[id] : unknown);
  });
  return matched;
}

struct Match {
  BlockId block;
  size_t rule = 0;
  bool is_by_code = false;
};

// Takes blocks out of those that are lost or possibly lost, for one rule after the other.
class Suppression {
 public:
  Suppression(const MemoryImage& image, const HeapModel& heap, const Reachability& reach,
              size_t rules)
      : heap_(heap), memory_(image, heap), open_(heap.blocks.size()), used_(rules) {
    for (const LostBlock& lost : reach.lost) open_.set(lost.block);
    for (const PossibleBlock& possible : reach.possible) open_.set(possible.block);
  }

  void take(const Match& match) {
    if (!open_.claim(match.block)) return;
    result_.blocks.push_back(match.block);
    ++used_[match.rule].blocks;
    used_[match.rule].bytes += heap_.block(match.block).size();
    used_[match.rule].is_by_code |= match.is_by_code;
  }

  void take_what_hangs_below(const Match& match) {
    std::vector<BlockId> unsearched = {match.block};
    while (!unsearched.empty()) {
      const BlockId block = unsearched.back();
      unsearched.pop_back();
      for_each_target(block, [&](BlockId target) {
        take({target, match.rule, false});
        unsearched.push_back(target);
      });
    }
  }

  [[nodiscard]] Suppressed result() {
    std::sort(result_.blocks.begin(), result_.blocks.end());
    for (size_t i = 0; i < used_.size(); ++i) {
      if (used_[i].blocks == 0) continue;
      result_.used.push_back(used_[i]);
      result_.used.back().rule = i;
    }
    return std::move(result_);
  }

 private:
  // Of the blocks not taken yet.
  template <typename F>
  void for_each_target(BlockId from, F&& f) {
    const AddrRange range = heap_.block(from).range();
    const uint32_t place = heap_.index.range_at(range.begin().value);
    if (place == BlockIndex::kNoRange) return;
    memory_.for_each_span(place, range, [&](Addr, Bytes bytes) {
      for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        const BlockId target = heap_.block_at(Addr(load<uint64_t>(bytes.data() + i)));
        if (target.valid() && open_.test(target)) f(target);
      }
    });
  }

  const HeapModel& heap_;
  const BlockMemory memory_;
  BlockBitmap open_;
  std::vector<UsedSuppression> used_;
  Suppressed result_;
};

bool may_be_suppressed(Verdict verdict) {
  return verdict == Verdict::Definite || verdict == Verdict::Indirect ||
         verdict == Verdict::Possible;
}

std::vector<Match> match_blocks(const Rules& rules, const ClusterRules& of_clusters,
                                const HeapModel& heap, const Reachability& reach,
                                const Clusters& clusters) {
  std::vector<Match> matches;
  clusters.members.for_each([&](BlockId block, ClusterId cluster) {
    if (!may_be_suppressed(reach.verdict(block))) return;
    const ClusterRule& of_cluster = of_clusters[cluster];
    const size_t by_size = rules.match(heap.block(block).size());
    if (by_size < of_cluster.rule) {
      matches.push_back({block, by_size, false});
    } else if (of_cluster.rule != kNoRule) {
      matches.push_back({block, of_cluster.rule, of_cluster.is_by_code});
    }
  });
  std::stable_sort(matches.begin(), matches.end(),
                   [](const Match& a, const Match& b) { return a.rule < b.rule; });
  return matches;
}

}  // namespace

bool Suppressed::has(BlockId block) const {
  return std::binary_search(blocks.begin(), blocks.end(), block);
}

Suppressed suppress(const std::vector<SuppressionRule>& rules, const MemoryImage& image,
                    const Symbols& symbols, const RuntimeFacts& runtime, const HeapModel& heap,
                    const Reachability& reach, const Clusters& clusters,
                    const Identities& identities, const AllocatingCode& code) {
  if (rules.empty() || clusters.members.empty()) return {};
  const Rules compiled(rules);
  const auto of_clusters =
      match_clusters(compiled, image, symbols, runtime, heap, clusters, identities, code);
  const std::vector<Match> matches = match_blocks(compiled, of_clusters, heap, reach, clusters);
  if (matches.empty()) return {};
  Suppression suppression(image, heap, reach, rules.size());
  for (const Match& match : matches) suppression.take(match);
  for (const Match& match : matches) suppression.take_what_hangs_below(match);
  return suppression.result();
}

}  // namespace heapscan

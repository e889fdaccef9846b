#include "report/describe_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kStoresNamed = 3;

enum class Hold { Nothing, NearestMiss, LostBlock, StaleWord, Word };

Hold kind_of(const Analysis& analysis, const Holder* holder) {
  if (holder == nullptr) return Hold::Nothing;
  if (holder->kind == Holder::Kind::FreeBlock) return Hold::NearestMiss;
  if (analysis.reach.stale.stretch_at(holder->at) != nullptr) return Hold::StaleWord;
  if (holder->kind == Holder::Kind::Root) {
    const auto& ranges = analysis.roots.ranges;
    const bool in_memory = holder->root < ranges.size();
    return in_memory && strength_of(ranges[holder->root].kind) == RootStrength::Diagnostic
               ? Hold::NearestMiss
               : Hold::Word;
  }
  const Verdict verdict = analysis.reach.verdict(holder->block);
  return verdict == Verdict::Definite || verdict == Verdict::Indirect ? Hold::LostBlock
                                                                      : Hold::Word;
}

std::string explain_block(const Analysis& analysis, Addr address, const Holder* holder) {
  const Hold hold = kind_of(analysis, holder);
  if (hold == Hold::Nothing)
    return fmt::format("no pointer to {} found anywhere in the process", hex(address));
  const std::string where = escaped(
      describe_place(*holder, analysis.image, analysis.heap, analysis.roots, analysis.reach));
  const std::string how = describe_pointer(*holder);
  if (hold == Hold::NearestMiss) {
    return fmt::format("{}: only a stale pointer in {} still refers to it{}", hex(address), where,
                       how);
  }
  const char* const stale = hold == Hold::StaleWord ? ", by a word that is no longer in use" : "";
  return fmt::format("{} is referenced by {}{}{}", hex(address), where, how, stale);
}

std::span<const BlockId> explained_members(const BlockGroup& group) {
  return std::span(group.members).first(std::min(group.members.size(), kMembersExplained));
}

// "of the first 5: 4 unreferenced, 1 referenced only by a stale pointer".
std::string survey(const Analysis& analysis, const BlockGroup& group, const HolderTable& holders) {
  std::map<Hold, size_t> counts;
  for (const BlockId member : explained_members(group))
    ++counts[kind_of(analysis, holders.of(member))];
  std::string parts;
  for (const auto& [hold, count] : counts) {
    if (!parts.empty()) parts += ", ";
    switch (hold) {
      case Hold::Nothing:
        parts += fmt::format("{} unreferenced", count);
        break;
      case Hold::NearestMiss:
        parts += fmt::format("{} referenced only by a stale pointer", count);
        break;
      case Hold::LostBlock:
        parts += fmt::format("{} referenced only by a leaked block", count);
        break;
      case Hold::StaleWord:
        parts += fmt::format("{} referenced only by words that are no longer in use", count);
        break;
      case Hold::Word:
        parts += fmt::format("{} referenced by an interior or ambiguous pointer", count);
        break;
    }
  }
  return fmt::format("of the first {}: {}", explained_members(group).size(), parts);
}

void add_reasons(const BlockGroup& group, std::vector<std::string>& reasons) {
  for (size_t i = 0; i < kReasonCount; ++i) {
    if (group.reasons[i] == 0) continue;
    reasons.push_back(
        fmt::format("{}: {}", counted(group.reasons[i], "block"), name_of(static_cast<Reason>(i))));
  }
}

// "1,601 blocks: held only by words of 0x…, 94 % of whose pointers lead to freed memory", "100
// blocks: held only by words behind the end of the text 0x…, and of 99 more". Arrays and texts with
// room left may be many, with one block each.
void add_stale_stores(const Analysis& analysis, const BlockGroup& group,
                      std::vector<std::string>& reasons) {
  struct Held {
    uint64_t blocks = 0;
    uint32_t store = 0;
    uint64_t more = 0;  // stores
  };
  std::vector<Held> held;
  std::map<StaleStore::Kind, Held> with_room;
  for (const auto& [store, blocks] : group.stale) {
    const StaleStore::Kind kind = analysis.reach.stale.stores[store].kind;
    if (kind == StaleStore::Kind::Dangling) {
      held.push_back({blocks, store, 0});
      continue;
    }
    const auto [known, is_first] = with_room.try_emplace(kind, Held{0, store, 0});
    known->second.blocks += blocks;
    known->second.more += is_first ? 0 : 1;
  }
  std::stable_sort(held.begin(), held.end(),
                   [](const Held& a, const Held& b) { return a.blocks > b.blocks; });
  if (held.size() > kStoresNamed) held.resize(kStoresNamed);
  for (const auto& [kind, row] : with_room) held.push_back(row);
  for (const Held& row : held) {
    std::string reason =
        fmt::format("{}: held only by words {}", counted(row.blocks, "block"),
                    describe_words(analysis.reach.stale.stores[row.store], analysis.heap));
    if (row.more != 0) reason += fmt::format(", and of {} more", grouped(row.more));
    reasons.push_back(std::move(reason));
  }
}

}  // namespace

HolderTable look_up_holders(const Analysis& analysis, std::vector<BlockId> blocks) {
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  HolderTable table;
  if (blocks.empty()) return table;
  table.holders =
      find_holders(analysis.image, analysis.heap, analysis.roots, analysis.reach, blocks);
  HS_CHECK(table.holders.size() == blocks.size());
  table.blocks = std::move(blocks);
  return table;
}

std::vector<std::string> explain_group(const Analysis& analysis, const BlockGroup& group,
                                       const HolderTable& holders) {
  std::vector<std::string> reasons;
  add_reasons(group, reasons);
  add_stale_stores(analysis, group, reasons);
  const BlockId example = group.members.front();
  if (group.verdict != Verdict::Reachable) {
    reasons.push_back(
        explain_block(analysis, analysis.heap.block(example).begin(), holders.of(example)));
    if (group.members.size() > 1) reasons.push_back(survey(analysis, group, holders));
  }
  return reasons;
}

std::vector<std::string> explain_single(const Analysis& analysis, BlockId block) {
  std::vector<std::string> reasons;
  const auto& possible = analysis.reach.possible;
  const auto row =
      std::lower_bound(possible.begin(), possible.end(), block,
                       [](const PossibleBlock& p, BlockId id) { return p.block < id; });
  if (row != possible.end() && row->block == block) reasons.emplace_back(name_of(row->reason));
  const HolderTable holders = look_up_holders(analysis, {block});
  reasons.push_back(explain_block(analysis, analysis.heap.block(block).begin(), holders.of(block)));
  return reasons;
}

std::string explain_mapping(const Analysis& analysis, BlockId mapping, const HolderTable& holders) {
  return explain_block(analysis, analysis.heap.block(mapping).begin(), holders.of(mapping));
}

}  // namespace heapscan

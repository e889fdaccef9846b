// Different sizes are strong evidence for different types; only what is stronger overrules it. Each
// of the following makes a key of what has to be equal, and families with a key in common are one:
//
//  - one class: the first word is the same table of functions;
//  - one place: the same field of the same kind of record points at them, and
//  they begin alike;
//  - one mark: they begin alike, with the same pointer into a module among the
//  first fields;
//  - arrays: from the first word on there is only one kind of element.
//
// glibc gives a chunk 16 bytes larger than asked for when the 16 that remain are less than the
// smallest chunk, 32. That happens to a few blocks of a kind, at random; where many are larger, or
// the additional words hold what a program writes, it is another kind.
#include "identify/families/rounds.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>

#include "identify/weights.h"

namespace heapscan {

namespace {

constexpr size_t kRestWords = 2;          // malloc leaves up to 16 bytes with a block
constexpr uint64_t kTimesRarer = 4;       // than the blocks of the usual size
constexpr uint64_t kTimesMuchRarer = 12;  // then what the additional words hold is left over,
constexpr uint64_t kMostAlike = 8;        // but hardly the same in more blocks than this

bool may_be_rests(const FamilyTraits& larger, uint64_t blocks, const SizedFamily& usual) {
  if (blocks * kTimesRarer > usual.blocks) return false;
  const bool may_be_alike = blocks <= kMostAlike && blocks * kTimesMuchRarer <= usual.blocks;
  return may_be_alike || !larger.uses_last(kRestWords);
}

// The place in `usual` of the family that agrees best, and by more than `least`.
std::optional<size_t> best_of(std::span<const SizedFamily> usual, const FamilyTraits& larger,
                              uint64_t blocks, float least) {
  std::optional<size_t> best;
  for (size_t i = 0; i < usual.size(); ++i) {
    if (!may_be_rests(larger, blocks, usual[i])) continue;
    const float agreement = usual[i].traits->agreement_with_larger(larger);
    if (agreement <= least) continue;
    least = agreement;
    best = i;
  }
  return best;
}

enum class MergeReason : uint64_t { Class = 1, Place, Mark, Array };

uint64_t key(MergeReason reason, uint64_t value) {
  return mix(static_cast<uint64_t>(reason), value);
}

bool names_module(const Trait& trait) {
  return trait.identity != 0 &&
         (trait.kind == TraitKind::Code || trait.kind == TraitKind::Constant ||
          trait.kind == TraitKind::Data || trait.kind == TraitKind::Table);
}

// The last field may be slack.
size_t certain_fields(const FamilyOutline& family) {
  return std::min(family.first.size(), family.traits > 1 ? family.traits - 1 : 0);
}

uint64_t beginning(const FamilyOutline& family, size_t fields) {
  uint64_t hash = fields;
  for (size_t i = 0; i < fields; ++i)
    hash = mix(hash, mix(static_cast<uint64_t>(family.first[i].kind), family.first[i].identity));
  return hash;
}

bool may_be_element(TraitKind kind) {
  return kind == TraitKind::Number || kind == TraitKind::Float || kind == TraitKind::Interior ||
         kind == TraitKind::Block;
}

// Of an array in the form of a record; 0 when it is none.
uint64_t array_key(const FamilyOutline& family) {
  const Trait element = family.first[0];
  if (!may_be_element(element.kind)) return 0;
  // Which block a single pointer leads to is all there is to go by.
  if (element.kind == TraitKind::Block && element.identity == 0) return 0;
  bool ended = false;
  for (size_t i = 0; i < certain_fields(family); ++i) {
    const Trait& trait = family.first[i];
    if (trait.kind == TraitKind::Zero) {
      ended = true;
    } else if (ended || trait.kind != element.kind || trait.identity != element.identity) {
      return 0;
    }
  }
  return key(MergeReason::Array,
             mix(mix(static_cast<uint64_t>(element.kind), element.identity), family.owner));
}

// What of a family has to be equal with another one, each for itself enough.
std::vector<uint64_t> keys_of(const FamilyOutline& family) {
  std::vector<uint64_t> keys;
  if (family.shape != Shape::Record) return keys;
  const size_t fields = std::min<size_t>(certain_fields(family), 3);
  if (family.first[0].kind == TraitKind::Table && family.first[0].identity != 0)
    keys.push_back(key(MergeReason::Class, family.first[0].identity));
  if (fields == 0) return keys;
  if (family.owner != 0 && is_record_field(family.owner) && family.first[0].kind != TraitKind::Zero)
    keys.push_back(key(MergeReason::Place, mix(family.owner, beginning(family, 2))));
  for (size_t i = 0; i < fields; ++i) {
    if (!names_module(family.first[i])) continue;
    keys.push_back(key(MergeReason::Mark, mix(fields, beginning(family, fields))));
    break;
  }
  if (const uint64_t array = array_key(family)) keys.push_back(array);
  return keys;
}

}  // namespace

std::vector<Joined> find_rests(std::span<const SizedFamily> families) {
  std::map<uint64_t, std::vector<SizedFamily>> by_size;
  for (const SizedFamily& family : families) by_size[family.size].push_back(family);
  std::vector<Joined> joined;
  for (const auto& [size, larger] : by_size) {
    const auto usual = by_size.find(size - kLeftOver);
    if (usual == by_size.end()) continue;
    for (const SizedFamily& family : larger) {
      const auto best = best_of(usual->second, *family.traits, family.blocks, weights::kRestNats);
      if (best) joined.push_back({family.family, usual->second[*best].family});
    }
  }
  return joined;
}

StrayRests::StrayRests(std::vector<SizedFamily> usual)
    : usual_(std::move(usual)), strays_(usual_.size()) {}

void StrayRests::look_at(uint32_t group, const FamilyTraits& traits, uint64_t blocks,
                         float own_agreement) {
  const float least = std::max(weights::kRestNats, own_agreement + weights::kStrayNats);
  const auto best = best_of(usual_, traits, blocks, least);
  if (!best) return;
  Strays& strays = strays_[*best];
  strays.groups.push_back(group);
  strays.blocks += blocks;
  if (strays.traits) {
    strays.traits->add(traits);
  } else {
    strays.traits = traits;
  }
}

std::vector<Joined> StrayRests::found() const {
  std::vector<Joined> found;
  for (size_t i = 0; i < usual_.size(); ++i) {
    const Strays& strays = strays_[i];
    if (!strays.traits || !may_be_rests(*strays.traits, strays.blocks, usual_[i])) continue;
    for (const uint32_t group : strays.groups) found.push_back({group, usual_[i].family});
  }
  return found;
}

std::vector<uint32_t> join_sizes(const std::vector<FamilyOutline>& families,
                                 std::span<const Joined> joined) {
  std::vector<uint32_t> into(families.size());
  std::iota(into.begin(), into.end(), 0);
  const auto root_of = [&](uint32_t family) {
    while (into[family] != family) family = into[family] = into[into[family]];
    return family;
  };
  const auto join = [&](uint32_t first, uint32_t second) {
    const uint32_t a = root_of(first);
    const uint32_t b = root_of(second);
    into[std::max(a, b)] = std::min(a, b);
  };
  std::unordered_map<uint64_t, uint32_t> first_with;
  for (uint32_t i = 0; i < families.size(); ++i) {
    for (const uint64_t k : keys_of(families[i])) {
      const auto [first, is_new] = first_with.try_emplace(k, i);
      if (!is_new) join(first->second, i);
    }
  }
  for (const Joined& pair : joined) join(pair.family, pair.with);
  std::vector<uint32_t> number(families.size());
  uint32_t count = 0;
  for (uint32_t i = 0; i < families.size(); ++i)
    number[i] = root_of(i) == i ? count++ : number[root_of(i)];
  return number;
}

}  // namespace heapscan

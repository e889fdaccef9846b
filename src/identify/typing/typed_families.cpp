// Members of blocks whose type is known vote for the types of the families they lead to. A struct
// beats characters; where structs disagree, the one that nearly all votes are for wins, and only if
// the blocks themselves agree. A family that is settled so votes in turn. Every family is settled
// once and followed once, so that circles of types end.
#include "identify/typing/typed_families.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace heapscan {

namespace {

constexpr uint64_t kFamilyBytes = 4096;    // looked at in each block: all of nearly all
constexpr uint64_t kCharactersAsked = 64;  // bytes
// A member says already what it is; half of the blocks must have a word that agrees.
constexpr Demand kOfHinted{.score = 10, .support = 5};
constexpr int kMuch = 10;  // in what types weigh

// Where few of a family's blocks are pointed at, the others may be strangers.
bool are_enough(uint64_t votes, uint64_t blocks) { return votes * 4 >= blocks; }
// What fewer say is a hint; an array says less of itself than a struct does.
bool are_too_few(uint64_t votes, uint64_t blocks, bool is_array) {
  return votes * (is_array ? 16 : 64) < blocks;
}
bool are_many(uint64_t votes, uint64_t blocks) { return votes * 2 >= blocks; }

// Members that were not cleared may lead to what has long been something else.
bool are_most(uint64_t some, uint64_t all) { return some * 5 >= all * 4; }

bool nearly_all_of(uint64_t some, uint64_t all) { return some > 0 && some * 20 >= all * 19; }

// Whether a block that is too large for one value got 16 bytes that malloc did not split off.
bool is_unsplit(Checker& checker, TypeId type, const Words& words) {
  const uint64_t size = checker.layouts().of(type).size;
  return size != 0 && words.requests.has(size + kLeftOver) && checker.agrees(type, words, 0);
}

constexpr uint64_t kBytesAsked = 512;  // as behind a pointer
constexpr size_t kMostPointers = 64;   // places of a family that lead to others
constexpr size_t kMostAsked = 2000;    // families
constexpr size_t kMostSpecimens = 96;  // of all families that are one type

// Calls f(leaf) for the members that are pointers to structs, those of unions included.
template <typename F>
void for_each_record_pointer(const Layout& layout, F&& f) {
  const auto visit = [&](const Leaf& leaf) {
    if (leaf.kind == LeafKind::RecordPointer && leaf.follow.valid()) f(leaf);
  };
  for (const Leaf& leaf : layout.leaves) {
    visit(leaf);
    if (leaf.kind != LeafKind::Union) continue;
    for (uint32_t i = 0; i < leaf.arms; ++i) {
      for (const Leaf& part : layout.arms[leaf.first_arm + i]) visit(part);
    }
  }
}

}  // namespace

std::optional<FamilyExtent> extent_of_family(Checker& checker, FamilyId family, TypeId pointee) {
  const Family& row = checker.inputs().families.rows[family];
  FamilyExtent result;
  const uint64_t left_over = usual_size(row.sizes).usable + kLeftOver;
  bool is_first = true;
  uint32_t unsplit = 0;
  const size_t count = std::min(row.samples.size(), kSamplesAsked);
  for (size_t i = 0; i < count; ++i) {
    const BlockId id = row.samples[i * row.samples.size() / count];
    const Words words = read_words(checker.inputs(), id, kFamilyBytes);
    if (words.facts.empty() || words.size == left_over) continue;
    ++result.samples;
    const auto extent = extent_of(checker, pointee, checker.inputs().heap.block(id), 0, words);
    if (!extent) unsplit += is_unsplit(checker, pointee, words) ? 1 : 0;
    if (!extent || (!is_first && extent->type != result.type)) continue;
    ++result.agreeing;
    if (is_first) {
      result.type = extent->type;
      result.count = extent->count;
    }
    is_first = false;
    result.is_array |= extent->is_array;
    if (extent->count != result.count || !extent->is_exact) result.count = 0;
  }
  if (are_many(result.agreeing, result.samples)) result.agreeing += unsplit;
  if (!nearly_all_of(result.agreeing, result.samples)) return std::nullopt;
  return result;
}

std::optional<FamilyExtent> extent_by_tag(Checker& checker, const Tags& tags, FamilyId family,
                                          TypeId header) {
  const Family& row = checker.inputs().families.rows[family];
  const size_t count = std::min(row.samples.size(), kSamplesAsked);
  TypeId type = TypeId::none();
  size_t agreeing = 0;
  for (size_t i = 0; i < count; ++i) {
    const BlockId id = row.samples[i * row.samples.size() / count];
    const Words words = read_words(checker.inputs(), id, Tags::kHeaderBytes);
    const TypeId tagged = tags.type_of(header, words);
    if (!tagged.valid() || (type.valid() && tagged != type)) continue;
    type = tagged;
    agreeing += checker.agrees(header, words, 0) ? 1 : 0;
  }
  if (!type.valid() || !nearly_all_of(agreeing, count)) return std::nullopt;
  const auto extent = extent_of_family(checker, family, type);
  return extent && !extent->is_array ? extent : std::nullopt;
}

std::optional<FamilyExtent> extent_by_header(Checker& checker, const Tags& tags, FamilyId family,
                                             TypeId header) {
  if (tags.has_tag(header)) return extent_by_tag(checker, tags, family, header);
  std::optional<FamilyExtent> first;
  const TypeId only =
      only_fitting(checker.layouts(), checker.relatives().beginning_with(header), [&](TypeId type) {
        const auto extent =
            checker.is_exhausted() ? std::nullopt : extent_of_family(checker, family, type);
        if (!extent || extent->is_array) return false;
        if (!first) first = extent;
        return true;
      });
  return only.valid() && !checker.is_exhausted() ? first : std::nullopt;
}

FamilyTypes::FamilyTypes(Checker& checker, const Catalogue& catalogue, const Tags& tags,
                         Votes votes)
    : checker_(checker),
      catalogue_(catalogue),
      tags_(tags),
      inputs_(checker.inputs()),
      votes_(std::move(votes)),
      evidence_(inputs_.families.rows.size()),
      sure_(inputs_.families.rows.size(), 0),
      pointed_(inputs_.families.rows.size(), 0) {
  for (size_t i = 0; i < votes_.rows.size(); ++i) {
    if (!votes_.rows[FamilyId(i)].empty()) asked_.emplace_back(i);
  }
}

void FamilyTypes::believe(FamilyId family, TypeId type, bool sure) {
  checker_.beliefs().families[family] = type;
  checker_.beliefs().candidates[family].clear();
  sure_[family] = sure ? 1 : 0;
  fresh_.push_back(family);
}

void FamilyTypes::settle(FamilyId family, const FamilyExtent& extent, EvidenceKind kind,
                         const std::string& detail, bool sure) {
  Evidence evidence;
  evidence.kind = kind;
  evidence.label = label_of(inputs_.types, extent.type, extent.is_array, extent.count);
  evidence.detail = detail;
  evidence.type = extent.type;
  evidence.samples = extent.samples;
  evidence.agreeing = extent.agreeing;
  evidence_[family].push_back(std::move(evidence));
  if (!is_settled(family)) believe(family, extent.type, sure);
}

void FamilyTypes::spread() {
  while (!fresh_.empty() || !asked_.empty()) {
    for (const FamilyId family : std::exchange(fresh_, {})) cast_votes(family);
    std::sort(asked_.begin(), asked_.end());
    asked_.erase(std::unique(asked_.begin(), asked_.end()), asked_.end());
    for (const FamilyId family : std::exchange(asked_, {})) count_votes(family);
  }
}

void FamilyTypes::cast_votes(FamilyId from) {
  const Family& row = inputs_.families.rows[from];
  const TypeId type = checker_.beliefs().families[from];
  const size_t count = std::min(row.samples.size(), kSamplesAsked);
  for (size_t i = 0; i < count; ++i) {
    const BlockId id = row.samples[i * row.samples.size() / count];
    const Words words = read_words(inputs_, id, kFamilyBytes);
    const auto extent = extent_of(checker_, type, inputs_.heap.block(id), 0, words);
    if (!extent) continue;
    for_each_pointer(checker_, *extent, words, [&](const Leaf& leaf, const WordFact& fact) {
      const FamilyId to = fact.family;
      if (!to.valid() || to == from || pointed_[to] != 0) return;
      if (is_settled(to) && sure_[from] == 0) return;
      if (fact.kind != WordKind::BlockStart) return;
      Vote vote;
      vote.count = std::max<uint64_t>(1, row.blocks / count);
      vote.owner = extent->type;
      vote.member = leaf.member;
      vote.sure = sure_[from] != 0;
      votes_.cast(to, leaf, vote);
      asked_.push_back(to);
    });
  }
}

void FamilyTypes::count_votes(FamilyId family) {
  std::vector<Vote> votes = votes_.rows[family];
  if (pointed_[family] != 0 || votes.empty()) return;
  uint64_t total = 0;
  for (const Vote& vote : votes) total += vote.type.valid() ? vote.count : 0;
  const uint64_t blocks = inputs_.families.rows[family].blocks;
  if (total == 0) {
    if (are_enough(votes.front().count, blocks)) take_text(family, votes.front());
    return;
  }
  std::erase_if(votes, [](const Vote& vote) { return !vote.type.valid(); });
  std::stable_sort(votes.begin(), votes.end(),
                   [](const Vote& a, const Vote& b) { return a.count > b.count; });
  const Vote& first = votes.front();
  uint64_t agreeing = 0;
  for (const Vote& vote : votes) {
    if (checker_.layouts().compatible(vote.type, first.type)) agreeing += vote.count;
  }
  if (!are_most(agreeing, total)) return;
  const auto words = sample_words(inputs_, inputs_.families.rows[family], kFamilyBytes);
  for (const Vote& vote : votes) {
    auto extent = extent_of_family(checker_, family, vote.type);
    if (!extent) extent = extent_by_header(checker_, tags_, family, vote.type);
    if (!extent || (!extent->is_array && leaves_fields(checker_, extent->type, words))) continue;
    if (!extent->is_array && may_be_derived(family, extent->type)) return;
    const bool is_plain = extent->is_array && !checker_.layouts().of(extent->type).holds_pointers();
    if (is_plain && !are_many(agreeing, blocks)) return;  // numbers fit everywhere
    if (are_too_few(agreeing, blocks, extent->is_array)) {
      if (!fits_better_than_any(family, *extent)) return;
    } else if (!are_enough(agreeing, blocks) && !fits_as_well_as_any(family, *extent)) {
      return;
    }
    pointed_[family] = 1;
    return settle(family, *extent, EvidenceKind::Pointed, detail_of(vote), vote.sure);
  }
}

bool FamilyTypes::may_be_derived(FamilyId family, TypeId type) {
  const uint64_t size = inputs_.types.type(type).size;
  const auto& derived_types = checker_.relatives().beginning_with(type);
  return std::any_of(derived_types.begin(), derived_types.end(), [&](TypeId derived) {
    if (inputs_.types.type(derived).size <= size || checker_.is_exhausted()) return false;
    const auto extent = extent_of_family(checker_, family, derived);
    return extent && !extent->is_array;
  });
}

std::vector<Candidate> FamilyTypes::rank_all(FamilyId family, const std::vector<Words>& words) {
  const Family& row = inputs_.families.rows[family];
  return rank(checker_, catalogue_, family, words, catalogue_.for_family(inputs_, row));
}

bool FamilyTypes::fits_better_than_any(FamilyId family, const FamilyExtent& extent) {
  if (extent.is_array) return false;
  const auto words = sample_words(inputs_, inputs_.families.rows[family], kFamilyBytes);
  const auto ranked = rank_all(family, words);
  const Candidate* const winner = clear_winner(checker_, ranked, kOfHinted, words.size());
  return winner != nullptr && winner->type == extent.type;
}

bool FamilyTypes::fits_as_well_as_any(FamilyId family, const FamilyExtent& extent) {
  const auto words = sample_words(inputs_, inputs_.families.rows[family], kFamilyBytes);
  const auto ranked = rank_all(family, words);
  if (extent.is_array) return !may_be_one(ranked);
  const auto own = std::find_if(ranked.begin(), ranked.end(),
                                [&](const Candidate& c) { return c.type == extent.type; });
  return own != ranked.end() && own->score + kMuch >= ranked.front().score;
}

// Bytes are characters to C, whatever the program keeps in them; but hardly pointers.
bool FamilyTypes::may_be_characters(FamilyId family) const {
  const Family& row = inputs_.families.rows[family];
  if (row.shape == Shape::Text) return true;
  if (row.shape == Shape::Pointers) return false;
  const auto words = sample_words(inputs_, row, kCharactersAsked);
  return std::none_of(words.begin(), words.end(), [](const Words& sample) {
    return std::any_of(sample.facts.begin(), sample.facts.end(),
                       [](const WordFact& fact) { return is_block_pointer(fact.kind); });
  });
}

void FamilyTypes::take_text(FamilyId family, const Vote& vote) {
  if (is_settled(family) || !may_be_characters(family)) return;
  const bool is_text = inputs_.families.rows[family].shape == Shape::Text;
  Evidence evidence;
  evidence.kind = EvidenceKind::Pointed;
  evidence.label = vote.of_string ? "text of std::string"
                   : is_text      ? "char[]"
                                  : inputs_.types.spelled(vote.character) + "[]";
  evidence.detail = detail_of(vote);
  const uint64_t blocks = inputs_.families.rows[family].blocks;
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  evidence.samples = static_cast<uint32_t>(std::min(blocks, kMost));
  evidence.agreeing = static_cast<uint32_t>(std::min({vote.count, blocks, kMost}));
  evidence_[family].push_back(std::move(evidence));
  pointed_[family] = 1;
}

std::string FamilyTypes::detail_of(const Vote& vote) const {
  const std::string member(vote.member);
  if (!vote.owner.valid()) return "variable `" + member + "` points to such blocks";
  const std::string owner = inputs_.types.spelled(vote.owner);
  if (member.empty()) return "`" + owner + "` points to such blocks";
  return "member `" + member + "` of `" + owner + "` points to such blocks";
}

Together::Together(Checker& checker, const Catalogue& catalogue)
    : checker_(checker), catalogue_(catalogue) {
  const Column<FamilyId, Family>& rows = checker.inputs().families.rows;
  for (size_t i = 0; i < std::min(rows.size(), kMostAsked); ++i) {
    if (checker.beliefs().candidates[FamilyId(i)].empty()) continue;
    for (const Pointer& pointer : pointers_of(FamilyId(i))) {
      std::vector<FamilyId>& from = from_[pointer.to.value];
      if (from.empty() || from.back() != FamilyId(i)) from.emplace_back(i);
    }
  }
}

const std::vector<Words>& Together::words_of(FamilyId family) {
  const auto [place, is_new] = words_.try_emplace(family.value);
  if (is_new) {
    place->second =
        sample_words(checker_.inputs(), checker_.inputs().families.rows[family], kBytesAsked);
  }
  return place->second;
}

const std::vector<Together::Pointer>& Together::pointers_of(FamilyId family) {
  const auto [place, is_new] = pointers_.try_emplace(family.value);
  std::vector<Pointer>& pointers = place->second;
  if (!is_new) return pointers;
  for (const Words& words : words_of(family)) {
    for (size_t i = 0; i < words.facts.size(); ++i) {
      const WordFact& fact = words.facts[i];
      if (fact.kind != WordKind::BlockStart || !fact.family.valid() || fact.family == family)
        continue;
      const bool is_known = std::any_of(pointers.begin(), pointers.end(), [&](const Pointer& p) {
        return p.to == fact.family && p.offset == i * 8;
      });
      if (!is_known && pointers.size() < kMostPointers) pointers.push_back({fact.family, i * 8});
    }
  }
  return pointers;
}

bool Together::may_be(FamilyId family, TypeId type) const {
  const auto& candidates = checker_.beliefs().candidates[family];
  return std::find(candidates.begin(), candidates.end(), type) != candidates.end();
}

void Together::assume(FamilyId family, TypeId type, Assumed& assumed, std::vector<FamilyId>& open) {
  const bool is_record = checker_.inputs().families.rows[family].shape == Shape::Record;
  if (assumed.size() >= kMostAssumed || !is_record || !may_be(family, type)) return;
  if (assumed.try_emplace(family.value, type).second) open.push_back(family);
}

// What members lead to is what they are declared to lead to.
void Together::follow(FamilyId from, TypeId type, Assumed& assumed, std::vector<FamilyId>& open) {
  const std::vector<Pointer>& pointers = pointers_of(from);
  for_each_record_pointer(checker_.layouts().of(type), [&](const Leaf& leaf) {
    for (const Pointer& pointer : pointers) {
      if (pointer.offset == leaf.offset) assume(pointer.to, leaf.follow, assumed, open);
    }
  });
}

// What leads here through a member of the same type is another family of it.
void Together::look_back(FamilyId to, TypeId type, Assumed& assumed, std::vector<FamilyId>& open) {
  const auto from = from_.find(to.value);
  if (from == from_.end()) return;
  for_each_record_pointer(checker_.layouts().of(type), [&](const Leaf& leaf) {
    if (leaf.follow != type) return;
    for (const FamilyId family : from->second) {
      const std::vector<Pointer>& pointers = pointers_of(family);
      const bool leads_here = std::any_of(pointers.begin(), pointers.end(), [&](const Pointer& p) {
        return p.to == to && p.offset == leaf.offset;
      });
      if (leads_here) assume(family, type, assumed, open);
    }
  });
}

Together::Assumed Together::consequences(FamilyId family, TypeId type) {
  Assumed assumed;
  std::vector<FamilyId> open;
  assume(family, type, assumed, open);
  for (size_t next = 0; next < open.size(); ++next) {
    const FamilyId from = open[next];
    const TypeId is = assumed.at(from.value);
    follow(from, is, assumed, open);
    look_back(from, is, assumed, open);
  }
  return assumed;
}

// Of all families that are then of the type, so that what differs between them counts, too.
std::optional<Candidate> Together::weigh_with(FamilyId family, TypeId type) {
  Assumed assumed = consequences(family, type);
  std::vector<FamilyId> same;
  for (const auto& [id, is] : assumed) {
    if (is == type && id != family.value) same.emplace_back(id);
  }
  std::sort(same.begin(), same.end());
  same.insert(same.begin(), family);
  std::vector<Specimen> specimens;
  for (const FamilyId id : same) {
    for (const Words& words : words_of(id)) {
      if (specimens.size() < kMostSpecimens) specimens.push_back({&words, 0});
    }
  }
  if (specimens.empty()) return std::nullopt;
  checker_.beliefs().assumed = std::move(assumed);
  auto candidate = weigh(checker_, family, specimens, type);
  checker_.beliefs().assumed.clear();
  if (candidate) candidate->score += catalogue_.prior(type, words_of(family).front().size);
  return candidate;
}

std::vector<Candidate> Together::rank(FamilyId family) {
  std::vector<Candidate> ranked;
  const std::vector<TypeId> types = checker_.beliefs().candidates[family];
  for (size_t i = 0; i < std::min(types.size(), kMostCandidates); ++i) {
    if (checker_.is_exhausted()) return {};
    if (auto candidate = weigh_with(family, types[i])) ranked.push_back(std::move(*candidate));
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  return ranked;
}

}  // namespace heapscan

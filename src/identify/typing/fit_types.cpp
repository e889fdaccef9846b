#include "identify/typing/fit_types.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "identify/typing/relatives.h"

namespace heapscan {

namespace {

constexpr size_t kFieldsNamed = 3;   // in a sentence
constexpr size_t kFewestLeaves = 6;  // of a type one of whose members may be unset
// An array counts as so many of its elements, however long it is.
constexpr int kTimesCounted = 2;

class Weighing {
 public:
  Weighing(Checker& checker, FamilyId family, std::span<const Specimen> specimens, TypeId type)
      : checker_(checker),
        family_(family),
        specimens_(specimens),
        layout_(checker.layouts().of(type)),
        allowed_(specimens.size() / 20),
        contradicted_(specimens.size(), false) {
    candidate_.type = type;
  }

  std::optional<Candidate> weigh() {
    for (const Leaf& leaf : layout_.leaves) {
      if (!add(leaf, false)) return std::nullopt;
    }
    if (layout_.has_tail && !add(Leaf(), true)) return std::nullopt;
    for (const Counted& counted : find_counted(checker_.inputs(), layout_, specimens_)) {
      add_agreement(*counted.count, counted.specimens);
      name_field(*counted.count);
    }
    int weight = 0;
    size_t support = 0;
    for (const Tally& tally : tallies_) {
      const int counted = std::min(tally.times, kTimesCounted);
      weight += tally.weight * counted / tally.times;
      support += tally.support * static_cast<size_t>(counted) / static_cast<size_t>(tally.times);
    }
    const auto count = static_cast<int>(specimens_.size());
    candidate_.agreeing = static_cast<uint32_t>(specimens_.size() - contradictions_);
    candidate_.score = weight / count;
    candidate_.support = static_cast<int>(support) * 10 / count;
    return candidate_;
  }

 private:
  // What all members of one declaration say: of an array of structs there are many.
  struct Tally {
    int times = 0;
    int weight = 0;
    size_t support = 0;
  };

  // False once the type is out. A pointer that is never one, but often a small number, is none.
  bool add(const Leaf& leaf, bool is_tail) {
    size_t support = 0;
    size_t marks = 0;
    int weight = 0;
    std::vector<size_t> contradicting;
    for (size_t i = 0; i < specimens_.size(); ++i) {
      const Words& words = *specimens_[i].words;
      const Checker::Question question{candidate_.type, family_, specimens_[i].base};
      const Reading reading = is_tail ? checker_.read_tail(layout_, words, question)
                                      : checker_.read(layout_, leaf, words, question);
      weight += reading.weight;
      support += reading.support;
      marks += reading.sign == Sign::Mark ? 1 : 0;
      if (reading.contradicts) contradicting.push_back(i);
    }
    if (contradicting.size() > allowed_ && !is_tail && may_be_unset(leaf, contradicting)) {
      candidate_.unset = leaf.member;
      weight = tenths(Sign::UnsetMember) * static_cast<int>(specimens_.size());
      support = 0;
    } else if (!count(contradicting)) {
      return false;
    }
    if (support == 0 && marks > allowed_) return false;
    Tally& tally = tallies_[tally_of(leaf)];
    ++tally.times;
    tally.weight += weight;
    tally.support += support;
    if (leaf.kind == LeafKind::Union &&
        chooser_of(checker_, layout_, leaf, candidate_.type, family_, specimens_) != nullptr)
      add_agreement(leaf, specimens_.size());
    if (support * 2 >= specimens_.size()) name_field(leaf);
    return true;
  }

  void add_agreement(const Leaf& leaf, size_t specimens) {
    ++candidate_.agreements;
    Tally& tally = tallies_[tally_of(leaf)];
    const Weight agreement = weight_of(Sign::AgreesWithAnother);
    tally.weight += agreement.tenths * static_cast<int>(specimens);
    tally.support += agreement.support * specimens;
  }

  // False when too many specimens contradict.
  bool count(const std::vector<size_t>& contradicting) {
    for (const size_t i : contradicting) {
      contradictions_ += contradicted_[i] ? 0 : 1;
      contradicted_[i] = true;
    }
    return contradictions_ <= allowed_;
  }

  // Programs leave members unset that others make meaningless. What was there before differs.
  [[nodiscard]] bool may_be_unset(const Leaf& leaf,
                                  const std::vector<size_t>& contradicting) const {
    if (!candidate_.unset.empty() || leaf.member.empty() || !is_followed(leaf) ||
        layout_.leaves.size() < kFewestLeaves)
      return false;
    const auto value = [&](size_t i) {
      return specimens_[i].words->at(specimens_[i].base + leaf.offset)->value;
    };
    return std::any_of(contradicting.begin(), contradicting.end(),
                       [&](size_t i) { return value(i) != value(contradicting.front()); });
  }

  size_t tally_of(const Leaf& leaf) {
    const auto [place, is_new] = tally_of_name_.try_emplace(leaf.member.data(), tallies_.size());
    if (is_new) tallies_.emplace_back();
    return place->second;
  }

  void name_field(const Leaf& leaf) {
    if (candidate_.fields++ >= kFieldsNamed || leaf.member.empty()) return;
    if (!candidate_.fields_named.empty()) candidate_.fields_named += ", ";
    candidate_.fields_named += leaf.member;
  }

  Checker& checker_;
  FamilyId family_;
  std::span<const Specimen> specimens_;
  const Layout& layout_;
  size_t allowed_;
  std::vector<bool> contradicted_;
  size_t contradictions_ = 0;
  std::vector<Tally> tallies_;
  std::unordered_map<const char*, size_t> tally_of_name_;
  Candidate candidate_;
};

constexpr size_t kMostConsidered = 4096;   // types; large programs have hundreds of a size
constexpr size_t kFewSamples = 4;          // need twice as much
constexpr int kEnoughToFit = 30;           // for a winner
constexpr uint64_t kElementsLookedAt = 8;  // of an array that are looked at
constexpr uint64_t kSmallestElement = 16;  // one word fits any array of words
constexpr size_t kMostSizes = 32;          // of a family; the commonest come first
constexpr int kAheadOfNext = 25;           // nearly six times as likely as the next

// Where half of the family's blocks at least name their own rest, by the same word; 0 where they do
// not.
uint64_t rest_of_family(const Inputs& inputs, const Family& family) {
  constexpr uint64_t kSearched = 256;  // bytes
  const std::vector<Words> samples = sample_words(inputs, family, kSearched);
  if (samples.empty()) return 0;
  const Words& middle = samples[samples.size() / 2];
  for (uint64_t offset = 0; offset + 8 <= middle.bytes(); offset += 8) {
    const uint64_t rest = own_rest_at(middle, offset);
    if (rest == 0) continue;
    const auto agreeing = std::count_if(samples.begin(), samples.end(), [&](const Words& words) {
      return own_rest_at(words, offset) == rest;
    });
    if (static_cast<size_t>(agreeing) * 2 >= samples.size()) return rest;
  }
  return 0;
}

// Of a type and one that is nothing but a wrapper of it: the wrapper where only that has such a
// part, the part where it is of use to others, too.
bool is_meant_by(Checker& checker, TypeId type, TypeId other) {
  if (checker.layouts().begins_with(type, other)) return !checker.relatives().is_common_part(other);
  return checker.relatives().is_common_part(type);
}

void put_best_first(std::vector<Candidate>& candidates) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
}

}  // namespace

std::optional<Candidate> weigh(Checker& checker, FamilyId family,
                               std::span<const Specimen> specimens, TypeId type) {
  return Weighing(checker, family, specimens, type).weigh();
}

bool leaves_fields(Checker& checker, TypeId type, const std::vector<Words>& samples) {
  const Layout& layout = checker.layouts().of(type);
  size_t numbers = 0;
  size_t pointers = 0;
  size_t asked = 0;
  uint64_t usual = ~uint64_t{0};  // others are larger only because malloc did not split them
  for (const Words& sample : samples) usual = std::min(usual, sample.size);
  for (const Words& sample : samples) {
    if (sample.size != usual) continue;
    ++asked;
    const WordFact* const last = sample.size >= 8 ? sample.at(sample.size - 8) : nullptr;
    if (last == nullptr || layout.has_tail || layout.size + 8 > sample.size) return false;
    if (checker.names_own_rest(type, sample)) return false;
    const bool may_be_a_size = last->value >= 32 && last->value % 16 == 0;
    numbers += last->kind == WordKind::Small && !may_be_a_size ? 1 : 0;
    pointers += is_block_pointer(last->kind) ? 1 : 0;
  }
  return numbers * 5 >= asked || pointers * 2 >= asked;
}

Catalogue::Catalogue(const ModuleRoles& roles, Layouts& layouts)
    : types_(layouts.types()), roles_(roles), is_pointed_at_(layouts.types().size(), false) {
  for (const TypeId id : types_.records()) {
    const ModuleId module = types_.type(id).module;
    if (!module.valid() || roles.is(module, ModuleRole::Program)) program_is_described_ = true;
    if (may_be_allocated(id) && tail_of(types_, id)) with_tail_.push_back(id);
  }
  for (size_t i = 0; i < types_.size(); ++i) {
    const Type& type = types_.type(TypeId(i));
    if (type.kind == TypeKind::Pointer && type.target.valid())
      is_pointed_at_[layouts.whole(type.target).index()] = true;
  }
}

bool Catalogue::may_be_allocated(TypeId id) const {
  const std::string& name = types_.type(id).name;
  return !name.empty() && !is_standard_part(name);
}

std::vector<TypeId> Catalogue::for_family(const Inputs& inputs, const Family& family) const {
  std::vector<TypeId> found;
  if (family.samples.empty() || family.sizes.empty()) return found;
  const UsualSize usual = usual_size(family.sizes);
  const uint64_t smallest = family.sizes.front().first;
  const ArenaId arena = inputs.heap.block(family.samples.front()).arena();
  const Requests requests = requests_for(Block(Addr(16), usual.usable, BlockState::Used, arena));
  const auto records = types_.records();
  if (usual.blocks * 20 >= family.blocks * 19) {
    auto at =
        std::lower_bound(records.begin(), records.end(), std::max<uint64_t>(requests.least, 1),
                         [&](TypeId id, uint64_t size) { return types_.type(id).size < size; });
    for (; at != records.end() && types_.type(*at).size <= requests.most; ++at) {
      if (may_be_allocated(*at) && found.size() < kMostConsidered) found.push_back(*at);
    }
  }
  for (const TypeId id : with_tail_) {
    const uint64_t size = types_.type(id).size;
    if (size > smallest || requests.has(size)) continue;
    if (found.size() < kMostConsidered) found.push_back(id);
  }
  add_before_rest(rest_of_family(inputs, family), requests, found);
  return found;
}

void Catalogue::add_before_rest(uint64_t rest, const Requests& requests,
                                std::vector<TypeId>& found) const {
  if (rest == 0) return;
  const auto records = types_.records();
  const uint64_t least = rest - std::min(rest - 1, kMostBeforeRest);
  auto at = std::lower_bound(records.begin(), records.end(), least,
                             [&](TypeId id, uint64_t size) { return types_.type(id).size < size; });
  for (; at != records.end() && types_.type(*at).size <= rest; ++at) {
    if (requests.has(types_.type(*at).size) || found.size() >= kMostConsidered) continue;
    if (may_be_allocated(*at)) found.push_back(*at);
  }
}

// Nearly all of the family's blocks must be a whole number of elements, the commonest at least
// two.
std::vector<TypeId> Catalogue::elements_for(const Inputs& inputs, const Family& family,
                                            Layouts& layouts) const {
  std::vector<TypeId> found;
  if (family.samples.empty() || family.sizes.empty()) return found;
  const ArenaId arena = inputs.heap.block(family.samples.front()).arena();
  std::vector<std::pair<Requests, uint64_t>> sizes;  // and how many blocks have it
  uint64_t blocks = 0;
  for (size_t i = 0; i < std::min(family.sizes.size(), kMostSizes); ++i) {
    const auto [size, count] = family.sizes[i];
    sizes.emplace_back(requests_for(Block(Addr(16), size, BlockState::Used, arena)), count);
    blocks += count;
  }
  const auto divides = [&](uint64_t element) {
    uint64_t whole = 0;
    for (const auto& [requests, count] : sizes) {
      const bool fits = requests.most >= element && requests.has(requests.most / element * element);
      whole += fits ? count : 0;
    }
    return whole * 20 >= blocks * 19;
  };
  const uint64_t most = usual_size(family.sizes).usable / 2;
  for (const TypeId id : types_.records()) {
    const Type& type = types_.type(id);
    if (type.size > most || found.size() >= kMostConsidered) break;
    if (type.size < kSmallestElement || !may_be_allocated(id) || type.name.front() == '_') continue;
    if (type.module.valid() && roles_.is_system_library(type.module)) continue;
    if (divides(type.size) && layouts.of(id).holds_pointers()) found.push_back(id);
  }
  return found;
}

bool Catalogue::needs_own_module(TypeId type) const {
  const ModuleId module = types_.type(type).module;
  return module.valid() && (roles_.is_system_library(module) || !program_is_described_);
}

void Catalogue::add_live(std::span<const LiveType> live, Relatives& relatives) {
  for (const LiveType& type : live) {
    live_sizes_[type.type.value].push_back(type.usable);
    for (const TypeId larger : relatives.beginning_with(type.type)) {
      const uint64_t size = types_.type(larger).size;
      if (size > types_.type(type.type).size && size <= type.usable)
        live_sizes_[larger.value].push_back(type.usable);
    }
  }
}

std::vector<Sign> Catalogue::priors(TypeId id, uint64_t usable) const {
  const Type& type = types_.type(id);
  std::vector<Sign> priors;
  if (!is_pointed_at_[id.index()]) priors.push_back(Sign::NotPointedAt);
  if (type.module.valid() && roles_.is_system_library(type.module))
    priors.push_back(Sign::OfSystemLibrary);
  if (type.name.starts_with("_")) priors.push_back(Sign::ReservedName);
  if (const auto live = live_sizes_.find(id.value); live != live_sizes_.end()) {
    const auto& sizes = live->second;
    const bool has_size = std::find(sizes.begin(), sizes.end(), usable) != sizes.end();
    priors.push_back(has_size ? Sign::LivesInThatSize : Sign::Lives);
  }
  return priors;
}

int Catalogue::prior(TypeId id, uint64_t usable) const {
  int sum = 0;
  for (const Sign sign : priors(id, usable)) sum += tenths(sign);
  return sum;
}

bool name_own_module(const Inputs& inputs, Layouts& layouts, TypeId type,
                     const std::vector<Words>& samples) {
  const ModuleId module = inputs.types.type(type).module;
  if (!module.valid()) return true;
  const AddrRange range = inputs.image.modules()[module].range;
  const auto names_it = [&](const Words& words) {
    const auto& leaves = layouts.of(type).leaves;
    return std::any_of(leaves.begin(), leaves.end(), [&](const Leaf& leaf) {
      const WordFact* const fact = words.at(leaf.offset);
      return leaf.kind >= LeafKind::CodePointer && fact != nullptr &&
             is_module_pointer(fact->kind) && range.contains(Addr(fact->value));
    });
  };
  const auto naming = std::count_if(samples.begin(), samples.end(), names_it);
  return static_cast<size_t>(naming) * 2 > samples.size();
}

std::vector<Words> sample_words(const Inputs& inputs, const Family& family, uint64_t limit) {
  std::vector<Words> words;
  const size_t count = std::min(family.samples.size(), kSamplesAsked);
  for (size_t i = 0; i < count; ++i) {
    const BlockId block = family.samples[i * family.samples.size() / count];
    Words sample = read_words(inputs, block, limit);
    if (!sample.facts.empty()) words.push_back(std::move(sample));
  }
  return words;
}

std::vector<Candidate> rank(Checker& checker, const Catalogue& catalogue, FamilyId family,
                            const std::vector<Words>& samples, const std::vector<TypeId>& types) {
  std::vector<Candidate> ranked;
  std::vector<Specimen> specimens;
  specimens.reserve(samples.size());
  for (const Words& words : samples) specimens.push_back({&words, 0});
  if (specimens.empty()) return ranked;
  for (const TypeId type : types) {
    if (checker.is_exhausted()) return {};
    auto candidate = weigh(checker, family, specimens, type);
    if (!candidate || leaves_fields(checker, type, samples)) continue;
    candidate->score += catalogue.prior(type, samples.front().size);
    ranked.push_back(std::move(*candidate));
  }
  put_best_first(ranked);
  return ranked;
}

std::vector<Candidate> rank_arrays(Checker& checker, const Catalogue& catalogue, FamilyId family,
                                   const std::vector<Words>& samples,
                                   const std::vector<TypeId>& types) {
  std::vector<Candidate> ranked;
  for (const TypeId type : types) {
    if (checker.is_exhausted()) return {};
    const uint64_t size = checker.layouts().of(type).size;
    std::vector<Specimen> specimens;
    for (const Words& words : samples) {
      const uint64_t used = (words.size / size + 1) / 2;  // the last half may not be in use
      for (uint64_t i = 0; i < std::min(used, kElementsLookedAt); ++i) {
        if ((i + 1) * size <= words.bytes()) specimens.push_back({&words, i * size});
      }
    }
    if (specimens.empty()) continue;
    auto candidate = weigh(checker, family, specimens, type);
    if (!candidate) continue;
    candidate->score += catalogue.prior(type, 0);
    ranked.push_back(std::move(*candidate));
  }
  put_best_first(ranked);
  return ranked;
}

bool may_be_one(const std::vector<Candidate>& ranked) {
  return !ranked.empty() && ranked.front().score >= kEnoughToFit;
}

const Candidate* clear_winner(Checker& checker, const std::vector<Candidate>& ranked, Demand demand,
                              size_t samples) {
  if (ranked.empty()) return nullptr;
  const int ahead = samples < kFewSamples ? 2 * kAheadOfNext : kAheadOfNext;
  const Types& types = checker.inputs().types;
  const auto is_same = [&](TypeId a, TypeId b) {
    return types.type(a).size == types.type(b).size && checker.layouts().nested(a, b);
  };
  const Candidate* best = &ranked.front();
  for (const Candidate& other : ranked) {
    const int behind =
        ranked.front().score - other.score + std::max(0, ranked.front().support - other.support);
    if (behind >= ahead) continue;
    if (!is_same(other.type, best->type)) return nullptr;
    if (is_meant_by(checker, other.type, best->type)) best = &other;
  }
  const int score = samples < kFewSamples ? 2 * demand.score : demand.score;
  return best->score >= score && best->support >= demand.support ? best : nullptr;
}

}  // namespace heapscan

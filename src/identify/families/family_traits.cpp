// At every place three questions are asked, each with a small weight of its own prior (a Dirichlet
// prior with the mass of a third of an observation): is it zero? if not, what kind of word is it?
// if it names something, what? The answer that one side gives is compared with what the other side
// predicts and with how common it is in general; the logarithm of that ratio, in nats, is called the
// odds here (weights.h).
//
// Zero against anything says little: NULL and a pointer are one field. What a group says is damped:
// a thousand blocks count as a few observations, so that groups that differ in how often an
// optional field is used are not torn apart. Kinds that one field often has side by side (an
// integer that is small or large) support each other.
//
// The smallest blocks are given out for a single byte too: there the first field counts more, and
// whether it is used at all once more; the last is mostly what was there before.
#include "identify/families/family_traits.h"
#include "identify/families/rounds.h"
#include "identify/weights.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace heapscan {

namespace {

constexpr float kRarelyUsed = 10;      // a field that is zero in nine of ten counts as zero
constexpr float kNearlyAll = 0.8F;     // a mixture of leftovers has no kind in four of five
constexpr size_t kSmallestFields = 3;  // of the smallest blocks: 24 bytes, all but one may be slack

constexpr uint32_t bit(TraitKind kind) { return 1U << static_cast<unsigned>(kind); }

constexpr uint32_t kHeapPointers =
    bit(TraitKind::Block) | bit(TraitKind::Free) | bit(TraitKind::Interior);
constexpr uint32_t kNumbers = bit(TraitKind::Integer) | bit(TraitKind::Pair) |
                              bit(TraitKind::Number) | bit(TraitKind::Float) |
                              bit(TraitKind::Random);
constexpr uint32_t kPointers = kHeapPointers | bit(TraitKind::Code) | bit(TraitKind::Constant) |
                               bit(TraitKind::Table) | bit(TraitKind::Data) |
                               bit(TraitKind::Elsewhere);

// Kinds that one field may have side by side. What fills all of a word is no integer that happens
// to be large.
constexpr std::array<uint32_t, 3> kSideBySide = {
    bit(TraitKind::Integer) | bit(TraitKind::Pair) | bit(TraitKind::Number),
    bit(TraitKind::Pair) | bit(TraitKind::Number) | bit(TraitKind::Random) | bit(TraitKind::Float),
    kHeapPointers};

constexpr std::array<uint32_t, kTraitKinds> make_kin() {
  std::array<uint32_t, kTraitKinds> kin{};
  for (uint32_t kind = 0; kind < kTraitKinds; ++kind) {
    for (const uint32_t kinds : kSideBySide) {
      if ((kinds >> kind & 1) != 0) kin[kind] |= kinds & ~(1U << kind);
    }
  }
  return kin;
}
constexpr std::array<uint32_t, kTraitKinds> kKin = make_kin();
static_assert(weights::kKindCommon.size() == kTraitKinds);

float damped(float weight) { return std::min(weight, weights::kMostBlocks); }

// log of (probability under `share` of `observations` / how common it is).
float log_odds(float share, float observations, float common) {
  return std::log((share * observations + weights::kPriorBlocks * common) /
                  ((observations + weights::kPriorBlocks) * common));
}

}  // namespace

void TraitMixture::add(const Trait& trait, float weight) {
  const auto kind = static_cast<uint32_t>(trait.kind);
  kinds_[kind] += weight;
  seen_ |= 1U << kind;
  total_ += weight;
  if (trait.is_unwritten) unwritten_ += weight;
  if (trait.identity == 0) return;
  named_weight_ += weight;
  for (size_t i = 0; i < named_count_; ++i) {
    if (named_[i].identity != trait.identity) continue;
    named_[i].weight += weight;
    return;
  }
  if (named_count_ < kIdentities) named_[named_count_++] = {trait.identity, weight};
}

void TraitMixture::add(const TraitMixture& other) {
  for (size_t i = 0; i < kTraitKinds; ++i) kinds_[i] += other.kinds_[i];
  seen_ |= other.seen_;
  unwritten_ += other.unwritten_;
  total_ += other.total_;
  named_weight_ += other.named_weight_;
  for (size_t i = 0; i < other.named_count_; ++i) {
    const Named& named = other.named_[i];
    const auto known =
        std::find_if(named_.begin(), named_.begin() + named_count_,
                     [&](const Named& mine) { return mine.identity == named.identity; });
    if (known != named_.begin() + named_count_) {
      known->weight += named.weight;
    } else if (named_count_ < kIdentities) {
      named_[named_count_++] = named;
    }
  }
}

float TraitMixture::weight_of(uint64_t identity) const {
  for (size_t i = 0; i < named_count_; ++i) {
    if (named_[i].identity == identity) return named_[i].weight;
  }
  return 0;
}

float TraitMixture::predicts(const TraitMixture& other) const {
  if (total_ == 0 || other.total_ == 0) return 0;
  float sum = zero_odds(other) + unwritten_odds(other) + number_odds(other);
  if (nonzero() > 0 && other.nonzero() > 0) sum += kind_odds(other);
  if (named_weight_ > 0 && other.named_weight_ > 0) sum += identity_odds(other);
  return sum;
}

float TraitMixture::names(const TraitMixture& other) const {
  if (total_ == 0 || other.total_ == 0) return 0;
  float sum = zero_odds(other);
  if (named_weight_ > 0 && other.named_weight_ > 0) sum += identity_odds(other);
  return sum;
}

// A pointer is set sooner or later; what was never written is the slack behind something shorter.
float TraitMixture::unwritten_odds(const TraitMixture& other) const {
  const float both = weight_of_kinds(kHeapPointers) * other.unwritten_ +
                     other.weight_of_kinds(kHeapPointers) * unwritten_;
  return -weights::kUnwrittenNats * both / (total_ * other.total_);
}

// Of many blocks; what one or two have may be a remainder, or the other arm of a union.
float TraitMixture::number_odds(const TraitMixture& other) const {
  const float both = weight_of_kinds(kHeapPointers) * other.weight_of_kinds(kNumbers) +
                     other.weight_of_kinds(kHeapPointers) * weight_of_kinds(kNumbers);
  const float observations = damped(std::min(total_, other.total_)) / weights::kMostBlocks;
  return -weights::kNumberForPointerNats * observations * both / (total_ * other.total_);
}

float TraitMixture::weight_of_kinds(uint32_t kinds) const {
  float sum = 0;
  for (uint32_t rest = kinds; rest != 0; rest &= rest - 1)
    sum += kinds_[static_cast<size_t>(std::countr_zero(rest))];
  return sum;
}

float TraitMixture::zero_odds(const TraitMixture& other) const {
  const float zeros = kinds_[0] / total_;
  const float others = other.kinds_[0] / other.total_;
  const float observations = damped(total_);
  float sum = 0;
  if (others > 0) sum += others * log_odds(zeros, observations, weights::kZeroCommon);
  if (others < 1) sum += (1 - others) * log_odds(1 - zeros, observations, 1 - weights::kZeroCommon);
  const uint32_t used = (seen_ | other.seen_) & ~1U;
  const bool may_be_null = sum < 0 && (used & ~kHeapPointers) == 0;
  return (may_be_null ? weights::kNullPower : weights::kZeroPower) * sum;
}

float TraitMixture::use_odds(const TraitMixture& other) const {
  if (total_ == 0 || other.total_ == 0 || ((seen_ | other.seen_) & kPointers) != 0) return 0;
  return std::min(0.0F, zero_odds(other));
}

float TraitMixture::kind_odds(const TraitMixture& other) const {
  const float observations = damped(nonzero());
  float sum = 0;
  for (uint32_t rest = other.seen_ & ~1U; rest != 0; rest &= rest - 1) {
    const auto kind = static_cast<uint32_t>(std::countr_zero(rest));
    float kindred = 0;
    for (uint32_t kin = kKin[kind] & seen_; kin != 0; kin &= kin - 1)
      kindred += kinds_[static_cast<size_t>(std::countr_zero(kin))];
    const float share =
        std::min(1.0F, (kinds_[kind] + weights::kKindredShare * kindred) / nonzero());
    sum += other.kinds_[kind] / other.nonzero() *
           log_odds(share, observations, weights::kKindCommon[kind]);
  }
  return sum;
}

float TraitMixture::identity_odds(const TraitMixture& other) const {
  const float observations = damped(named_weight_);
  float sum = 0;
  for (size_t i = 0; i < other.named_count_; ++i) {
    const float share = weight_of(other.named_[i].identity) / named_weight_;
    sum += other.named_[i].weight / other.named_weight_ *
           log_odds(share, observations, weights::kIdentityCommon);
  }
  return sum;
}

bool TraitMixture::is_field() const {
  const float most = *std::max_element(kinds_.begin() + 1, kinds_.end());
  return total_ > 0 && most >= kNearlyAll * total_;
}

bool TraitMixture::names_other_tables(const TraitMixture& other) const {
  const auto table = static_cast<size_t>(TraitKind::Table);
  if (kinds_[table] == 0 || other.kinds_[table] == 0) return false;
  return std::none_of(other.named_.begin(), other.named_.begin() + other.named_count_,
                      [&](const Named& named) { return weight_of(named.identity) > 0; });
}

Trait TraitMixture::commonest() const {
  if (nonzero() * kRarelyUsed < total_) return {};
  const auto most = std::max_element(kinds_.begin() + 1, kinds_.end());
  Trait trait{static_cast<TraitKind>(most - kinds_.begin()), 0};
  for (size_t i = 0; i < named_count_; ++i) {
    if (named_[i].weight >= kNearlyAll * named_weight_ && named_[i].weight >= nonzero() / 2)
      trait.identity = named_[i].identity;
  }
  return trait;
}

FamilyTraits::FamilyTraits(const Signature& signature, uint32_t blocks)
    : shape_(signature.shape), says_little_(signature.says_little()), traits_(signature.traits) {
  const float weight = 1 + std::log2(static_cast<float>(blocks));
  for (size_t i = 0; i < traits_; ++i) places_[i].add(signature.trait[i], weight);
  if (signature.owner != 0) {
    const bool tells = signature.shape != Shape::Record || is_record_field(signature.owner);
    owner_.add({TraitKind::Block, tells ? signature.owner : 0}, weight);
  } else if (says_little_) {
    // To hang below nothing that is known tells blocks apart too, where owners are all there is.
    owner_.add({TraitKind::Zero, 0}, weight);
  }
}

void FamilyTraits::add(const FamilyTraits& other) {
  for (size_t i = 0; i < traits_; ++i) places_[i].add(other.places_[i]);
  owner_.add(other.owner_);
}

FamilyOutline FamilyTraits::outline() const {
  FamilyOutline outline;
  outline.shape = shape_;
  outline.traits = traits_;
  for (size_t i = 0; i < std::min(traits_, outline.first.size()); ++i)
    outline.first[i] = places_[i].commonest();
  outline.owner = owner_.commonest().identity;
  return outline;
}

float FamilyTraits::agreement(const FamilyTraits& other) const {
  if (places_[0].names_other_tables(other.places_[0])) return -1e6F;
  return (predicts(other, frame()) + other.predicts(*this, frame())) / 2;
}

float FamilyTraits::agreement_with_larger(const FamilyTraits& larger) const {
  if (places_[0].names_other_tables(larger.places_[0])) return -1e6F;
  const Frame common{std::min(traits_, Signature::kFields), says_little_};
  return (predicts(larger, common) + larger.predicts(*this, common)) / 2;
}

bool FamilyTraits::uses_last(size_t words) const {
  const size_t fields = std::min(traits_, Signature::kFields);
  return std::any_of(places_.begin() + static_cast<ptrdiff_t>(fields - std::min(words, fields)),
                     places_.begin() + static_cast<ptrdiff_t>(traits_),
                     [](const TraitMixture& place) { return place.is_field(); });
}

float FamilyTraits::weight_of(size_t place, size_t traits) const {
  if (shape_ != Shape::Record || traits <= 1) return 1;
  const bool is_last = place + 1 == traits;
  if (traits > kSmallestFields) return is_last ? weights::kLastFieldPower : 1;
  if (place == 0) return weights::kOnlyFieldPower;
  return is_last ? weights::kSlackPower : 1;
}

float FamilyTraits::predicts(const FamilyTraits& other, const Frame& frame) const {
  float sum = (frame.says_little ? weights::kOwnerPowerOfTiny : weights::kOwnerPower) *
              owner_.names(other.owner_);
  if (shape_ == Shape::Record && frame.traits <= kSmallestFields)
    sum += places_[0].use_odds(other.places_[0]);
  for (size_t i = 0; i < frame.traits; ++i)
    sum += weight_of(i, frame.traits) * places_[i].predicts(other.places_[i]);
  return sum;
}

}  // namespace heapscan

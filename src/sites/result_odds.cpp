// Bayes' rule once more: with p the chance that the blocks are of the type that a site's result points
// to, and q the share of the candidates whose results do, the site is (a p + (1-a) q) / q times as
// likely as one of which nothing is known, where a is how often both what the source says and what is
// thought of the blocks are right. What is thought is one type where one was settled on, and else all
// that fit, each with its odds.
#include "sites/result_odds.h"

#include <algorithm>
#include <cmath>

#include "sites/site_weights.h"

namespace heapscan {

namespace {

constexpr double kTenthsOfBit = 10 / 0.6931471805599453;  // in one unit of the natural logarithm
// What none of the types that fit has to be as likely as, in tenths of a bit.
constexpr int kNoType = 10;

bool says_something(const SiteResult& result) {
  if (result.pointee == TypeKind::Unknown || result.pointee == TypeKind::Void) return false;
  return !is_record(result.pointee) || result.record.valid();
}

// Against the best.
double odds_of(int score, int best) { return std::exp((score - best) / kTenthsOfBit); }

}  // namespace

ResultOdds::ResultOdds(const Types& types, const Identity& identity, Shape shape,
                       const CallSites& sites, std::span<const SiteMatch> candidates)
    : types_(types), identity_(identity), shape_(shape), sites_(sites) {
  if (sites.results.empty()) return;
  TypeId type = identity.type;
  if (type.valid() && types.type(type).kind == TypeKind::Array) type = types.type(type).target;
  if (type.valid() && is_record(types.type(type).kind)) record_ = type;
  if (type.valid() && types.type(type).kind == TypeKind::Pointer)
    pointed_at_ = types.type(type).target;
  best_score_ = kNoType;
  for (const FittingType& fitting : identity.fitting)
    best_score_ = std::max(best_score_, fitting.score);
  fitting_odds_ = odds_of(kNoType, best_score_);
  for (const FittingType& fitting : identity.fitting)
    fitting_odds_ += odds_of(fitting.score, best_score_);

  std::map<Result, double> counts;
  double known = 0;
  for (const SiteMatch& match : candidates) {
    const SiteResult& result = sites.results[match.site];
    if (!says_something(result)) continue;
    ++counts[{result.pointee, result.record}];
    ++known;
  }
  for (const auto& [key, count] : counts) {
    const auto chance = chance_of({"", key.first, key.second});
    if (!chance) continue;
    const double usual = (count + 1) / (known + 2);
    const double times = (kAssigned * *chance + (1 - kAssigned) * usual) / usual;
    weights_[key] = std::clamp(std::log(times), -kMostWeight, kMostWeight);
  }
}

std::optional<double> ResultOdds::weight_of(CallSiteId site) const {
  if (sites_.results.empty()) return std::nullopt;
  const SiteResult& result = sites_.results[site];
  const auto weight = weights_.find({result.pointee, result.record});
  return weight == weights_.end() ? std::nullopt : std::optional(weight->second);
}

// That the blocks are what the result points to.
std::optional<double> ResultOdds::chance_of(const SiteResult& result) const {
  const bool makes_records = is_record(result.pointee);
  if (record_.valid()) return makes_records && are_related(record_, result.record) ? 1 : 0;
  switch (shape_) {
    case Shape::Text:
      return result.pointee == TypeKind::Character ? 1 : 0;
    case Shape::Pointers:
      if (result.pointee != TypeKind::Pointer) return 0;
      if (!pointed_at_.valid() || !result.record.valid()) return std::nullopt;
      return are_related(pointed_at_, result.record) ? 1 : 0;
    case Shape::Numbers:
      return makes_records || result.pointee == TypeKind::Pointer ? 0 : 1;
    case Shape::Record:
      if (!makes_records || identity_.fitting.empty()) return std::nullopt;
      return chance_of_record(result.record);
    case Shape::Raw:
    case Shape::Untouched:
      return std::nullopt;
  }
  return std::nullopt;
}

double ResultOdds::chance_of_record(TypeId record) const {
  double best = 0;
  for (const FittingType& fitting : identity_.fitting) {
    if (are_related(fitting.type, record))
      best = std::max(best, odds_of(fitting.score, best_score_));
  }
  return best / fitting_odds_;
}

bool ResultOdds::are_related(TypeId a, TypeId b) const {
  return begins_with(a, b) || begins_with(b, a);
}

// A class begins with its base, a struct with what is common to several, as a member or written out.
bool ResultOdds::begins_with(TypeId outer, TypeId inner) const {
  constexpr int kDeepest = 8;
  const auto head = types_.members(inner);
  for (int depth = 0; depth < kDeepest && outer.valid(); ++depth) {
    if (outer == inner) return true;
    const auto members = types_.members(outer);
    if (members.empty() || members[0].offset != 0) return false;
    const bool is_written_out =
        !head.empty() && head.size() <= members.size() &&
        std::equal(head.begin(), head.end(), members.begin(), [](const Member& x, const Member& y) {
          return x.offset == y.offset && x.type == y.type && x.name == y.name;
        });
    if (is_written_out) return true;
    outer = members[0].type;
  }
  return false;
}

}  // namespace heapscan

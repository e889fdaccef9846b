// Bayes' rule over all candidates and "none of them". Facts about one block are not independent: behind
// the heaviest each counts less, and zeros count once. A block that is zero in one place mostly is in
// others, so that ten stores of zero that agree prove little more than one.
#include "sites/site_odds.h"

#include <algorithm>
#include <cmath>

#include "sites/site_weights.h"

namespace heapscan {

namespace {

bool is_of_zero(const SiteFact& fact) {
  return fact.kind == SiteFact::Kind::Field && fact.value == 0;
}

double sum_of(const std::vector<SiteFact>& facts) {
  double sum = 0;
  double discount = 1;
  bool has_zero = false;
  for (const SiteFact& fact : facts) {
    if (fact.kind == SiteFact::Kind::Size) {
      sum += factor_of(fact.kind) * fact.weight;
      continue;
    }
    if (is_of_zero(fact) && fact.weight > 0) {
      if (has_zero) continue;
      has_zero = true;
    }
    sum += factor_of(fact.kind) * discount * fact.weight;
    discount *= kDiscount;
  }
  return sum;
}

}  // namespace

void weigh(size_t sizes, bool is_text, const CallSites& sites,
           std::vector<SiteMatch>& candidates) {
  const double count = std::min<double>(static_cast<double>(sizes), 3);
  double total = (kNoneOfThem + kNonePerCandidate * static_cast<double>(candidates.size())) *
                 std::exp(count * std::log(kAnySize));
  // One that was not seen may well make them.
  if (is_text) total *= std::exp(factor_of(SiteFact::Kind::Text) * kMakesText);
  for (SiteMatch& match : candidates) {
    std::sort(match.facts.begin(), match.facts.end(), [](const SiteFact& a, const SiteFact& b) {
      return std::abs(a.weight) > std::abs(b.weight);
    });
    const bool is_named = sites.rows[match.site].bytes.kind == RequestedBytes::Kind::Constant;
    match.probability = std::exp((is_named ? 0 : kUnnamedSize) + sum_of(match.facts));
    total += match.probability;
  }
  for (SiteMatch& match : candidates) match.probability /= total;
}

}  // namespace heapscan

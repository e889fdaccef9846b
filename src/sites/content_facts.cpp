#include "sites/content_facts.h"

#include <algorithm>
#include <cmath>

#include "sites/site_weights.h"

namespace heapscan {

ContentFacts::ContentFacts(const ClusterQuestion& question, const CallSites& sites,
                           std::span<const SiteMatch> candidates)
    : question_(question), sites_(sites) {
  double same = 1;
  double all = 2;
  for (const SiteMatch& match : candidates) {
    const RequestedBytes& bytes = sites.rows[match.site].bytes;
    if (bytes.kind != RequestedBytes::Kind::Linear) continue;
    same += bytes.step == question.element_bytes ? 1 : 0;
    ++all;
  }
  usual_step_ = same / all;
}

void ContentFacts::add_to(SiteMatch& match) const {
  const CallSite& site = sites_.rows[match.site];
  add_elements(site, match);
  if (site.makes_text) add_text(site, match);
}

void ContentFacts::add_elements(const CallSite& site, SiteMatch& match) const {
  if (question_.element_bytes == 0 || site.bytes.kind != RequestedBytes::Kind::Linear) return;
  SiteFact fact;
  fact.kind = SiteFact::Kind::Elements;
  fact.weight =
      weight_of(site.bytes.step == question_.element_bytes ? 1 : 0, kStepIsElement, usual_step_);
  match.facts.push_back(fact);
}

void ContentFacts::add_text(const CallSite& site, SiteMatch& match) const {
  SiteFact text;
  text.kind = SiteFact::Kind::Text;
  text.weight = question_.is_text ? kMakesText : kMakesNoText;
  match.facts.push_back(text);
  if (!question_.is_text) return;
  add_length(site, match);
  if (site.callers < 2) return;
  // The copy may have been made for any of those.
  SiteFact called;
  called.kind = SiteFact::Kind::Called;
  called.value = site.callers;
  called.weight = std::min(std::log(static_cast<double>(site.callers)), kMostCalled);
  match.facts.push_back(called);
}

void ContentFacts::add_length(const CallSite& site, SiteMatch& match) const {
  if (!site.bytes.is_of_text) return;
  const Share share = share_that_fits(question_.texts, site.bytes.base);
  if (share.asked == 0) return;
  SiteFact fact;
  fact.kind = SiteFact::Kind::Length;
  fact.samples = share.asked;
  fact.agreeing = share.yes;
  fact.weight = weight_of(static_cast<double>(share.yes) / share.asked, kLengthFits, kUsualFit);
  match.facts.push_back(fact);
}

double weight_of_text_sizes(const Sizes& sizes) {
  constexpr size_t kMostSizes = 3;  // as of other sites
  constexpr double kSmallest = 24;  // bytes
  constexpr double kStep = 16;      // bytes, to the next size
  double weight = 0;
  for (size_t i = 0; i < std::min(sizes.size(), kMostSizes); ++i) {
    const double longer = std::max(0.0, (static_cast<double>(sizes[i].first) - kSmallest) / kStep);
    weight +=
        std::max(std::log(kShortText) + longer * std::log(1 - kShortText), std::log(kAnySize));
  }
  return weight;
}

}  // namespace heapscan

// For each cluster, Bayes' rule over the sites whose sizes would do, and over "none of them". The
// likelihood of a site is that of the sizes (a constant explains one size for sure; a number that
// only the run knows could have been any), times that of each fact. A fact is a question that the
// blocks answer, such as "is the word at +0x18 that address?": with f the share of samples that
// say yes, a what the site would make us expect and q the share among other blocks of the size, it
// counts f log(a/q) + (1-f) log((1-a)/(1-q)), which is one observation's worth however many samples
// agree, for blocks of one cluster are no independent witnesses.

#include "heapscan/sites/match_sites.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "heapscan/base/parallel.h"
#include "heapscan/symbols/symbols.h"
#include "sites/cluster_questions.h"
#include "sites/content_facts.h"
#include "sites/name_words.h"
#include "sites/request_fit.h"
#include "sites/result_odds.h"
#include "sites/site_odds.h"
#include "sites/site_shares.h"
#include "sites/site_weights.h"
#include "sites/traces.h"
#include "sites/written_fields.h"

namespace heapscan {

namespace {

constexpr size_t kMostClusters = 2000;

// As a number with a sign.
bool is_small(uint64_t value) {
  constexpr uint64_t kLimit = uint64_t{1} << 32;
  return value + kLimit < 2 * kLimit;
}

class Matcher {
 public:
  Matcher(const MatchInputs& in, const CallSites& sites)
      : in_(in),
        image_(in.image),
        heap_(in.heap),
        clusters_(in.clusters),
        sites_(sites),
        questions_(in, std::min(in.clusters.rows.size(), kMostClusters)) {
    written_.reserve(sites.rows.size());
    for (const CallSite& site : sites.rows) written_.push_back(written_by(site));
    find_on_stacks();
    count_operators();
    name_functions();
    count_links();
  }

  SiteMatches run() {
    // What holds a cluster's blocks is a fact about them, once it is known where that comes from.
    const std::vector<std::vector<Held>> held =
        find_held(image_, heap_, clusters_, std::min(clusters_.rows.size(), kMostClusters));
    SiteMatches matches(clusters_.rows.size());
    for (const bool with_holders : {false, true, true}) {
      SiteMatches next(clusters_.rows.size());
      parallel_for(held.size(), [&](size_t c) {
        // What nothing holds stays as it is.
        next[ClusterId(c)] = with_holders && held[c].empty()
                                 ? matches[ClusterId(c)]
                                 : match(ClusterId(c), with_holders ? &held[c] : nullptr, matches);
      });
      matches = std::move(next);
    }
    return matches;
  }

 private:
  void find_on_stacks() {
    on_stack_ = calls_on_stacks(image_, in_.runtime, sites_);
    const auto seen = static_cast<double>(std::count(on_stack_.begin(), on_stack_.end(), 1));
    const double usual = (seen + 1) / (static_cast<double>(on_stack_.size()) + 2);
    on_stack_weight_ = std::clamp(std::log(kSeenOnStack / usual), 0.0, kMostOnStack);
    not_on_stack_weight_ = std::log((1 - kSeenOnStack) / (1 - std::min(usual, kSeenOnStack)));
  }

  [[nodiscard]] bool is_operator(const CallSite& site) const {
    return sites_.allocators[site.allocator].is_operator_new;
  }
  void count_operators() {
    const auto all = static_cast<double>(
        std::count_if(sites_.rows.begin(), sites_.rows.end(),
                      [this](const CallSite& site) { return is_operator(site); }));
    operator_share_ = (all + 1) / (static_cast<double>(sites_.rows.size()) + 2);
  }

  void name_functions() {
    for (const CallSite& site : sites_.rows) {
      const auto symbol = in_.symbols.ref_at(site.call);
      functions_.push_back(symbol ? words_of(name_of_symbol(symbol->name)) : NameWords());
      for (const std::string& word : functions_.back()) ++word_counts_[word];
    }
  }

  void add_result(const ResultOdds& odds, SiteMatch& match) const {
    const auto weight = odds.weight_of(match.site);
    if (!weight) return;
    SiteFact fact;
    fact.kind = SiteFact::Kind::Assigned;
    fact.weight = *weight;
    match.facts.push_back(fact);
  }

  // Whether the constant that a site asks for is what the type takes, and reaches as far as the
  // blocks are used.
  [[nodiscard]] static double exact_weight(const ClusterQuestion& question, const CallSite& site) {
    if (site.bytes.kind != RequestedBytes::Kind::Constant) return 0;
    const std::vector<uint64_t>& sizes = site.bytes.constants;
    double weight = 0;
    if (question.type_bytes != 0 && question.cluster.shape == Shape::Record) {
      const bool is_exact =
          std::find(sizes.begin(), sizes.end(), question.type_bytes) != sizes.end();
      weight += is_exact ? kExactType : -kExactType;
    }
    if (question.used_bytes > sizes.back()) weight -= kUsedBeyond;
    return weight;
  }

  [[nodiscard]] static double size_weight(const Cluster& cluster, const CallSite& site) {
    if (site.makes_text && site.bytes.kind != RequestedBytes::Kind::Constant) {
      return weight_of_text_sizes(cluster.sizes);
    }
    const double sizes = std::min<double>(static_cast<double>(cluster.sizes.size()), 3);
    switch (site.bytes.kind) {
      case RequestedBytes::Kind::Constant:
        return -sizes * std::log(static_cast<double>(site.bytes.constants.size()));
      case RequestedBytes::Kind::Linear: {
        const double reached =
            kAnySize * std::clamp(static_cast<double>(site.bytes.step) / 16, 1.0, kMostRare);
        return sizes * std::log(reached);
      }
      case RequestedBytes::Kind::Unknown:
        return sizes * std::log(kAnySize);
    }
    return 0;
  }

  [[nodiscard]] ClusterSites match(ClusterId id, const std::vector<Held>* held,
                                   const SiteMatches& before) const {
    const ClusterQuestion question = questions_.of(id);
    ClusterSites result;
    std::vector<SiteMatch> matches;
    for (size_t s = 0; s < sites_.rows.size(); ++s) {
      const CallSite& site = sites_.rows[CallSiteId(s)];
      if (!covers(question.cluster.sizes, site.bytes)) continue;
      matches.emplace_back().site = CallSiteId(s);
    }
    const ContentFacts content(question, sites_, matches);
    const ResultOdds results(in_.types, in_.identities.rows[id], question.cluster.shape, sites_,
                             matches);
    for (SiteMatch& match : matches) {
      add_facts(question, match);
      add_result(results, match);
      content.add_to(match);
      if (held != nullptr) add_links(*held, before, match);
      add_near(question, held, before, match);
    }
    result.candidates = static_cast<uint32_t>(matches.size());
    weigh(question.cluster.sizes.size(), question.is_text, sites_, matches);
    result.shares = find_shares(matches, question.samples, question.others, written_);
    result.best = best_of(std::move(matches));
    return result;
  }

  void add_facts(const ClusterQuestion& question, SiteMatch& match) const {
    const CallSite& site = sites_.rows[match.site];
    SiteFact size;
    size.kind = SiteFact::Kind::Size;
    size.value = usual_size(question.cluster.sizes).usable;
    size.weight = size_weight(question.cluster, site) + exact_weight(question, site);
    match.facts.push_back(size);
    add_field_facts(question, match);
    add_mentions(question, site, match);
    add_stack(match);
    add_operator(question, site, match);
    add_name(question, match);
  }

  void add_field_facts(const ClusterQuestion& question, SiteMatch& match) const {
    for (const Written& written : written_[match.site.index()]) {
      const Share share = share_of(question.samples, written);
      if (share.asked == 0) continue;
      if (written.values.empty()) {
        add_written(question, written, share, match);
        continue;
      }
      const bool is_address =
          written.is_own_address ||
          (written.width == 8 && image_.module_at(Addr(written.values[0])) != nullptr);
      const bool is_zero =
          !written.is_own_address && written.values.size() == 1 && written.values[0] == 0;
      const bool is_wide = !is_address && written.width == 8 && !is_small(written.values[0]);
      const double usual = share_of(question.others, written)
                               .value(is_address ? kUsualAddress
                                      : is_zero  ? kUsualZero
                                      : is_wide  ? kUsualWideNumber
                                                 : kUsualNumber);
      SiteFact fact;
      fact.kind = written.is_own_address ? SiteFact::Kind::OwnAddress : SiteFact::Kind::Field;
      fact.offset = written.offset;
      fact.value = written.values[0];
      fact.samples = share.asked;
      fact.agreeing = share.yes;
      fact.weight = weight_of(static_cast<double>(share.yes) / share.asked,
                              is_address ? kAddressStays : kNumberStays, usual,
                              is_wide ? kMostWideWeight : kMostWeight);
      // That others have it more often is no reason to believe that these are from here.
      if (2 * share.yes < share.asked) fact.weight = std::min(fact.weight, 0.0);
      match.facts.push_back(fact);
    }
  }

  // Something is written there, and it is seldom zero.
  static void add_written(const ClusterQuestion& question, const Written& written,
                          const Share& share, SiteMatch& match) {
    SiteFact fact;
    fact.kind = SiteFact::Kind::Written;
    fact.offset = written.offset;
    fact.samples = share.asked;
    fact.agreeing = share.yes;
    fact.weight = weight_of(static_cast<double>(share.yes) / share.asked, kWrittenNotZero,
                            share_of(question.others, written).value(1 - kUsualZero));
    match.facts.push_back(fact);
  }

  void add_mentions(const ClusterQuestion& question, const CallSite& site, SiteMatch& match) const {
    for (const auto& named : question.names) {
      const auto offset = named.first;
      const Addr name = named.second;
      const bool is_written = std::any_of(
          match.facts.begin(), match.facts.end(),
          [&](const SiteFact& f) { return f.kind == SiteFact::Kind::Field && f.offset == offset; });
      if (is_written) continue;
      const auto [first, last] =
          std::equal_range(sites_.mentions.begin(), sites_.mentions.end(), Mention{name, Addr()},
                           [](const Mention& a, const Mention& b) { return a.of < b.of; });
      const bool mentions =
          std::any_of(first, last, [&](const Mention& m) { return m.function == site.function; });
      if (!mentions) continue;
      SiteFact fact;
      fact.kind = SiteFact::Kind::Mentions;
      fact.offset = offset;
      fact.value = name.value;
      fact.samples = fact.agreeing = static_cast<uint32_t>(question.samples.size());
      // One of few functions that do, of all that allocate.
      const auto functions = static_cast<double>(last - first);
      fact.weight = std::clamp(std::log(kMentioned / functions), 0.0, kMostMentioned);
      match.facts.push_back(fact);
    }
  }

  void add_stack(SiteMatch& match) const {
    SiteFact fact;
    fact.kind = SiteFact::Kind::OnStack;
    fact.weight = on_stack_[match.site.index()] != 0 ? on_stack_weight_ : not_on_stack_weight_;
    match.facts.push_back(fact);
  }

  // The allocator of the standard containers calls operator new, and so do classes.
  void add_operator(const ClusterQuestion& question, const CallSite& site, SiteMatch& match) const {
    if (!question.is_of_cpp) return;
    SiteFact fact;
    fact.kind = SiteFact::Kind::Operator;
    fact.weight = weight_of(is_operator(site) ? 1 : 0, kMadeByOperator, operator_share_);
    match.facts.push_back(fact);
  }

  // What a function makes is often in its name: dictCreate makes a dict. A word that few functions
  // have says more.
  void add_name(const ClusterQuestion& question, SiteMatch& match) const {
    SiteFact fact;
    fact.kind = SiteFact::Kind::Named;
    const NameWords& function = functions_[match.site.index()];
    for (const std::string& word : question.words) {
      if (!std::binary_search(function.begin(), function.end(), word)) continue;
      const double share = word_counts_.at(word) / static_cast<double>(functions_.size());
      fact.weight = std::max(fact.weight, std::log(kNamed / share));
    }
    fact.weight = std::min(fact.weight, kMostNamed);
    if (fact.weight > 0) match.facts.push_back(fact);
  }

  // Whether the site's blocks are made to be pointed at from where these are.
  void add_links(const std::vector<Held>& held, const SiteMatches& before, SiteMatch& match) const {
    if (held.empty()) return;
    const auto [first, last] = links_of(match.site);
    SiteFact best;
    best.kind = SiteFact::Kind::Linked;
    best.weight = std::log((1 - kLinkSeen) / 0.9);
    for (const Held& holder : held) {
      for (auto link = first; link != last; ++link) {
        if (link->offset != holder.offset) continue;
        double weight = std::log(kLinkSeen / usual_link(holder.offset));
        if (link->parent.valid())
          weight += kLinkOfParent * probability_of(before, holder.by, link->parent);
        if (weight > best.weight) {
          best.weight = weight;
          best.offset = holder.offset;
        }
      }
    }
    best.weight = std::min(best.weight, kMostWeight);
    match.facts.push_back(best);
  }

  using Links = std::vector<SiteLink>::const_iterator;
  [[nodiscard]] std::pair<Links, Links> links_of(CallSiteId site) const {
    return std::equal_range(sites_.links.begin(), sites_.links.end(),
                            SiteLink{site, 0, CallSiteId::none()},
                            [](const SiteLink& a, const SiteLink& b) { return a.child < b.child; });
  }

  [[nodiscard]] static double probability_of(const SiteMatches& matches, ClusterId cluster,
                                             CallSiteId site) {
    for (const SiteMatch& match : matches[cluster].best) {
      if (match.site == site) return match.probability;
    }
    return 0;
  }

  // The share of all sites whose blocks are pointed at from such an offset of something.
  [[nodiscard]] double usual_link(uint64_t offset) const {
    const auto found = linked_at_.find(offset);
    const double count = found != linked_at_.end() ? found->second : 0;
    return (count + 1) / (static_cast<double>(sites_.rows.size()) + 2);
  }

  void count_links() {
    for (size_t i = 0; i < sites_.links.size(); ++i) {
      const SiteLink& link = sites_.links[i];
      const bool is_again = i != 0 && sites_.links[i - 1].child == link.child &&
                            sites_.links[i - 1].offset == link.offset;
      if (!is_again) ++linked_at_[link.offset];
    }
  }

  // Code of one thing lies together: near the site of what holds the blocks, and near functions that
  // they point at.
  void add_near(const ClusterQuestion& question, const std::vector<Held>* held,
                const SiteMatches& before, SiteMatch& match) const {
    const Addr call = sites_.rows[match.site].call;
    double best = 0;
    const auto look = [&](Addr place, double sure) {
      const uint64_t distance = call > place ? call - place : place - call;
      for (const uint64_t reach : kReaches) {
        if (distance <= reach)
          best = std::max(best, sure * std::log(kNear / share_within(place, reach)));
      }
    };
    if (held != nullptr) {
      for (const Held& holder : *held) {
        const std::vector<SiteMatch>& sites = before[holder.by].best;
        if (!sites.empty() && sites[0].probability > 0.3) {
          look(sites_.rows[sites[0].site].call, sites[0].probability);
        }
      }
    }
    for (const auto& [offset, name] : question.names) {
      const Region* region = image_.region_at(name);
      if (region != nullptr && region->perms.execute) look(name, 1);
    }
    if (best <= 0) return;
    SiteFact fact;
    fact.kind = SiteFact::Kind::Near;
    fact.weight = std::min(best, kMostNear);
    match.facts.push_back(fact);
  }

  // The share of all sites that lie within `reach` bytes of `place`.
  [[nodiscard]] double share_within(Addr place, uint64_t reach) const {
    const auto is_below = [](const CallSite& site, Addr a) { return site.call < a; };
    const auto first =
        std::lower_bound(sites_.rows.begin(), sites_.rows.end(), place - reach, is_below);
    const auto last = std::lower_bound(first, sites_.rows.end(), place + reach, is_below);
    return (static_cast<double>(last - first) + 1) / (static_cast<double>(sites_.rows.size()) + 2);
  }

  // Sites of one function that say the same are one answer: their probabilities add up.
  [[nodiscard]] std::vector<SiteMatch> best_of(std::vector<SiteMatch> matches) const {
    std::sort(matches.begin(), matches.end(), [](const SiteMatch& a, const SiteMatch& b) {
      return a.probability != b.probability ? a.probability > b.probability : a.site < b.site;
    });
    if (matches.size() > ClusterSites::kMostShown) matches.resize(ClusterSites::kMostShown);
    return matches;
  }

  const MatchInputs& in_;
  const MemoryImage& image_;
  const HeapModel& heap_;
  const Clusters& clusters_;
  const CallSites& sites_;
  std::vector<std::vector<Written>> written_;              // one per site
  std::vector<uint8_t> on_stack_;                          // likewise
  std::vector<NameWords> functions_;                       // likewise
  std::unordered_map<std::string, uint32_t> word_counts_;  // in how many of those
  std::unordered_map<uint64_t, uint32_t> linked_at_;       // offset: sites pointed at from there
  double operator_share_ = 0;                              // of all sites
  double on_stack_weight_ = 0;
  double not_on_stack_weight_ = 0;
  ClusterQuestions questions_;
};

}  // namespace

SiteMatches match_sites(const MatchInputs& in, const CallSites& sites) {
  if (sites.rows.empty() || in.clusters.rows.empty()) return SiteMatches(in.clusters.rows.size());
  return Matcher(in, sites).run();
}

}  // namespace heapscan

// What a cluster's blocks hold, as facts about the sites that may have made them: sites that make strings
// make text, and those that ask for a multiple of 24 bytes make arrays of what takes 24.
#pragma once

#include <cstdint>
#include <span>

#include "heapscan/identify/families.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/sites/match_sites.h"
#include "sites/cluster_questions.h"

namespace heapscan {

class ContentFacts {
 public:
  // Keeps references to all but `candidates`.
  ContentFacts(const ClusterQuestion& question, const CallSites& sites,
               std::span<const SiteMatch> candidates);

  void add_to(SiteMatch& match) const;

 private:
  void add_elements(const CallSite& site, SiteMatch& match) const;
  void add_text(const CallSite& site, SiteMatch& match) const;
  void add_length(const CallSite& site, SiteMatch& match) const;

  const ClusterQuestion& question_;
  const CallSites& sites_;
  double usual_step_ = 0;  // share of the candidates that ask for a multiple of what the elements take
};

// How likely a text makes blocks of these sizes: natural logarithm.
[[nodiscard]] double weight_of_text_sizes(const Sizes& sizes);

}  // namespace heapscan

// How likely each candidate is, from what speaks for it and against it.
#pragma once

#include <cstddef>
#include <vector>

#include "heapscan/sites/match_sites.h"

namespace heapscan {

// Fills in the probabilities of the candidates for a cluster whose blocks have `sizes` different sizes, and
// are text or not, and sorts the facts of each, heaviest first.
void weigh(size_t sizes, bool is_text, const CallSites& sites, std::vector<SiteMatch>& candidates);

}  // namespace heapscan

// Blocks that look alike and come from several calls: which call made which of them.
#pragma once

#include <vector>

#include "heapscan/sites/match_sites.h"
#include "sites/written_fields.h"

namespace heapscan {

// The calls among `candidates` that made the samples between them, those of most first; none where one
// candidate is the answer by itself, or where they do not account for nearly all samples. `others` are
// blocks of the size that are not of the cluster; `written`: what each site writes.
[[nodiscard]] std::vector<SiteShare> find_shares(const std::vector<SiteMatch>& candidates,
                                                 const std::vector<BlockBytes>& samples,
                                                 const std::vector<BlockBytes>& others,
                                                 const std::vector<std::vector<Written>>& written);

}  // namespace heapscan

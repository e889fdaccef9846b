// Groups into words.
#pragma once

#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/report/report.h"
#include "report/groups.h"

namespace heapscan {

// Appends to report.leaks; report.options and report.verdicts are filled in already.
void describe_groups(const Analysis& analysis, const std::vector<BlockGroup>& groups,
                     const HolderTable& holders, Report& report);

}  // namespace heapscan

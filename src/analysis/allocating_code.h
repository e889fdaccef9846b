// What the code that allocated each cluster is called, for suppressions.
#pragma once

#include "heapscan/analysis/analysis.h"
#include "heapscan/triage/suppressions.h"

namespace heapscan {

// Of clusters with an answer, as far as `analysis` has got: source lines must be there.
[[nodiscard]] AllocatingCode name_allocating_code(const Analysis& analysis);

}  // namespace heapscan

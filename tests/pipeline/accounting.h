// Promise 6: every byte of every heap range is a block, a header, padding or known damage, and the
// totals are the sums.
#pragma once

#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"

namespace heapscan {

// Each byte that is unaccounted for or counted twice, each total that is not the sum of its parts,
// in a sentence.
[[nodiscard]] std::vector<std::string> accounting_errors(const Analysis& analysis);

// Each of the allocator's own figures that was not met.
[[nodiscard]] std::vector<std::string> failed_checks(const HeapModel& heap);

}  // namespace heapscan

// The suppressions that were asked for on the command line.
#pragma once

#include <string>
#include <vector>

#include "heapscan/triage/suppressions.h"

namespace heapscan {

// The rules of `files`, in their order, then the built-in ones if wanted. Throws Error (Usage) that
// names file, line, cause and fix when one cannot be read.
[[nodiscard]] std::vector<SuppressionRule> load_suppressions(const std::vector<std::string>& files,
                                                             bool builtin);

}  // namespace heapscan

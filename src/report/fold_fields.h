// The fields of a long block on a bounded number of rows.
#pragma once

#include <cstddef>
#include <vector>

#include "heapscan/identify/field_meaning.h"

namespace heapscan {

// Fields side by side that one row stands for.
struct FieldRun {
  size_t first = 0;   // index of the first of them
  size_t fields = 1;  // of a row of its own: 1
  // Of what is folded: that many rows before it say how it goes on, 0 when none do.
  size_t period = 0;
  [[nodiscard]] bool is_folded() const { return fields > 1; }
};

// In order, none left out; at most kMostRuns. What repeats is folded first, the middle last.
[[nodiscard]] std::vector<FieldRun> fold_fields(const std::vector<FieldMeaning>& fields);
constexpr size_t kMostRuns = 256;

}  // namespace heapscan

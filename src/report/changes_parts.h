// What reports of changes share: `diff` and `watch`.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "heapscan/report/changes.h"
#include "report/json_values.h"
#include "report/text_style.h"

namespace heapscan {

// "+1.2 MiB".
[[nodiscard]] std::string signed_bytes(int64_t bytes);
// "4.2 s", "90 s", "12 min 5 s", "3 h 20 min", "6 d 4 h".
[[nodiscard]] std::string duration_text(double seconds);

// Draws how the bytes of a group went from look to look; empty: nothing is drawn.
using DrawHistory = std::function<std::string(const std::vector<uint64_t>&)>;

// Everything below a text's first line.
void write_changes(const ChangeReport& report, const Style& style, std::ostream& out,
                   const DrawHistory& draw = {});

// What heapscan.diff/1 has beside its schema and the two looks.
[[nodiscard]] Json json_of_changes(const ChangeReport& report);

}  // namespace heapscan

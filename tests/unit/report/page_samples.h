// Reports made up to be shown as pages: the tests of pages look at what is written, and the one with a browser at
// what it makes of it.
#pragma once

#include <string>

#include "heapscan/report/page.h"

namespace heapscan {

// What would run, or end what it is put into, where it is not escaped.
[[nodiscard]] std::string hostile(const std::string& name);

// Text of the target wherever a report may have some, each hostile.
[[nodiscard]] Report hostile_report();
[[nodiscard]] PageParts hostile_parts();
[[nodiscard]] ChangeReport hostile_changes();
[[nodiscard]] WatchPage hostile_watch();
[[nodiscard]] WhyReport hostile_why();

// A report of so many groups, the first one the largest.
[[nodiscard]] Report report_of_groups(size_t groups);

}  // namespace heapscan

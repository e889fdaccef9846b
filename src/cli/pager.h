// Text that is longer than the terminal goes through the user's pager.
#pragma once

#include <string>

namespace heapscan {

// Writes `text` to standard output; through $PAGER (less) when that is a terminal and has fewer
// rows. A pager that cannot be started is done without. Throws Error when writing fails.
void show_paged(const std::string& text);

}  // namespace heapscan

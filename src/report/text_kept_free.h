// What malloc keeps, in words and as JSON.
#pragma once

#include <iosfwd>
#include <string>

#include "heapscan/report/kept_free.h"
#include "report/json_values.h"

namespace heapscan {

// Nothing when it is not much, unless `verbose`.
void write_kept_free(const KeptFree& kept, bool verbose, std::ostream& out);

// "12.0 MiB free, none of it at the end, …; 11.9 MiB lies below 0x…, 56 B, struct listener".
[[nodiscard]] std::string spelled(const ArenaRow& arena);

[[nodiscard]] Json json_of(const ArenaRow& arena);
[[nodiscard]] Json json_of(const KeptFree& kept);

}  // namespace heapscan

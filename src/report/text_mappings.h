// Lost and possible mappings as text: those of one size and verdict are one line.
#pragma once

#include <iosfwd>

#include "heapscan/report/report.h"

namespace heapscan {

void write_mapping_rows(const Report& report, std::ostream& out);
// Areas of which only some parts are named.
void write_areas(const Report& report, std::ostream& out);

}  // namespace heapscan

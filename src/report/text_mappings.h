// Lost and possible mappings as text: those of one size and verdict are one line.
#pragma once

#include <iosfwd>

#include "heapscan/report/report.h"

namespace heapscan {

void write_mapping_rows(const Report& report, std::ostream& out);

}  // namespace heapscan

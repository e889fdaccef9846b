// Line tables (.debug_line).
#pragma once

#include <span>
#include <string>

#include "heapscan/base/addr.h"
#include "symbols/dwarf/file.h"

namespace heapscan {

// An address of code, and where what is found out about it goes.
struct LineQuery {
  FileAddr address;
  std::string file;  // relative to where the compiler ran, or absolute; empty: not known
  uint32_t line = 0;
};

// Answers `queries`, which are sorted by address.
void find_lines(const DwarfFile& file, std::span<LineQuery> queries);

}  // namespace heapscan

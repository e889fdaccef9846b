// Line tables (.debug_line).
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
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

// libdw reads a unit's line table as a whole, and keeps it: says which may be read, in all of a file.
class LineTableBudget {
 public:
  explicit LineTableBudget(const DwarfFile& file);
  [[nodiscard]] bool allows(Dwarf_Die& unit);

 private:
  const DwarfFile& file_;
  uint64_t longest_line_text_ = 0;
  uint64_t left_;  // bytes
};

// Answers `queries`, which are sorted by address.
void find_lines(const DwarfFile& file, std::span<LineQuery> queries);

}  // namespace heapscan

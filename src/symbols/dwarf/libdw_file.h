// libdw's handle on the DWARF of one file. libdw trusts a file more than we may: it parses the
// abbreviations of every unit up to the first entry's, for each unit anew, and keeps them. So a file
// is handed over only after a look at what that will cost, and callers bound the rest: work in
// steps, with a look at the clock in between.
//
// A handle serves one thread at a time; several handles on one file may be used at once. libdw does
// not follow links to other files here (.dwo, .gnu_debugaltlink): it is not told of any.
#pragma once

#include <elfutils/libdw.h>

#include <chrono>
#include <memory>
#include <optional>

#include "heapscan/elf/section_elf.h"
#include "symbols/dwarf/file.h"

namespace heapscan {

// How long work on one file may take that only damage makes long.
class TimeLimit {
 public:
  explicit TimeLimit(std::chrono::seconds limit) : end_(std::chrono::steady_clock::now() + limit) {}
  [[nodiscard]] bool over() const { return std::chrono::steady_clock::now() > end_; }

 private:
  std::chrono::steady_clock::time_point end_;
};

class LibdwFile {
 public:
  enum class Texts : uint8_t { All, OfLines };  // with .debug_str or without
  // Nothing when libdw cannot read it, or not at a bounded cost. `file` must outlive the result.
  [[nodiscard]] static std::optional<LibdwFile> open(const DwarfFile& file, Texts texts);

  // The unit's own DIE; nothing for type units of DWARF 4.
  [[nodiscard]] std::optional<Dwarf_Die> root_of(const DwarfUnit& unit) const;

 private:
  struct DwarfEnd {
    void operator()(Dwarf* dwarf) const { dwarf_end(dwarf); }
  };
  LibdwFile(SectionElf elf, Dwarf* dwarf) : elf_(std::move(elf)), dwarf_(dwarf) {}

  SectionElf elf_;
  std::unique_ptr<Dwarf, DwarfEnd> dwarf_;
};

}  // namespace heapscan

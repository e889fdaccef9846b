// libdw's handle on the DWARF of one file. libdw trusts a file more than we may: it parses the
// abbreviations of every unit up to the first entry's, for each unit anew, and keeps them. So a file
// is handed over only after a look at what that will cost, and callers bound the rest: they count
// what they ask for, so that one file has one answer however fast the machine is.
//
// A handle serves one thread at a time; several handles on one file may be used at once. libdw opens
// no other files here (.dwo, .gnu_debugaltlink): it is not told of any, but of the alternate file
// that the caller has found.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/elf/section_elf.h"
#include "symbols/dwarf/file.h"

namespace heapscan {

class LibdwFile {
 public:
  enum class Texts : uint8_t { All, OfLines };  // with .debug_str or without
  // Nothing when libdw cannot read it, or not at a bounded cost. `file` must outlive the result, and
  // so must its alternate file.
  [[nodiscard]] static std::optional<LibdwFile> open(const DwarfFile& file, Texts texts);

  // Calls f(number of the unit, its DIE, which of the addresses) for each unit whose code has any of
  // `addresses`, which are sorted, until it returns false.
  using UnitVisitor = std::function<bool(size_t, Dwarf_Die&, std::span<const size_t>)>;
  void for_units_with(std::span<const FileAddr> addresses, const UnitVisitor& f) const;

  // What looks at entries of the unit may cost: bytes of its abbreviations, and of the longest the
  // attributes.
  struct Abbreviations {
    uint64_t bytes = 0;
    uint64_t most_attributes = 0;
  };
  [[nodiscard]] Abbreviations abbreviations_of(size_t unit) const;

  // What `attribute` refers to, `die`, as other units name it.
  [[nodiscard]] DieRef reference_to(Dwarf_Die& die, const Dwarf_Attribute& attribute) const;

 private:
  struct DwarfEnd {
    void operator()(Dwarf* dwarf) const { dwarf_end(dwarf); }
  };
  struct Handle {
    SectionElf elf;
    std::unique_ptr<Dwarf, DwarfEnd> dwarf;
  };
  LibdwFile(const DwarfFile& file, Handle handle) : file_(&file), handle_(std::move(handle)) {}
  static std::optional<Handle> open_handle(const DwarfFile& file, Texts texts);
  [[nodiscard]] std::vector<size_t> find_in(Dwarf_Die& unit, std::span<const FileAddr> addresses,
                                            uint64_t& steps_left) const;

  const DwarfFile* file_;
  Handle handle_;
  std::optional<Handle> alternate_;
};

// The number in an attribute that is there, and is one.
[[nodiscard]] std::optional<uint64_t> number_of(Dwarf_Die& die, unsigned attribute);
// Whether an entry says anything about its code.
[[nodiscard]] bool has_code(Dwarf_Die& die);

// ---- line tables (.debug_line) ------------------------------------------------------------------

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

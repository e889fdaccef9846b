// The DWARF of one file: its sections and the headers of its units. Source of the format: DWARF 4
// and 5, GNU extensions for dwz (.gnu_debugaltlink).
//
// Types of whole programs are read from here rather than with libdw: docs/architecture.md says why.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/base/note.h"
#include "heapscan/elf/compression.h"
#include "heapscan/elf/elf_file.h"

namespace heapscan {

// Where a DIE is: in a section of the file or of its alternate file, or a type's signature.
class DieRef {
 public:
  enum class Space : uint8_t { Info, Types, Alternate, Signature };
  constexpr DieRef() = default;
  constexpr DieRef(Space space, uint64_t offset)
      : value_(static_cast<uint64_t>(space) << 62 | (offset & kOffset)) {}
  [[nodiscard]] constexpr bool valid() const { return value_ != 0; }
  [[nodiscard]] constexpr Space space() const { return static_cast<Space>(value_ >> 62); }
  [[nodiscard]] constexpr uint64_t offset() const { return value_ & kOffset; }
  [[nodiscard]] constexpr uint64_t value() const { return value_; }
  constexpr auto operator<=>(const DieRef&) const = default;

 private:
  static constexpr uint64_t kOffset = (uint64_t{1} << 62) - 1;
  uint64_t value_ = 0;  // no DIE is at offset 0 of .debug_info
};

struct DwarfUnit {
  DieRef::Space space = DieRef::Space::Info;  // Info or Types
  uint8_t type = 0;                           // DW_UT_*
  uint8_t offset_size = 4;
  uint16_t version = 0;
  uint64_t begin = 0;  // of the header, in its section
  uint64_t first_die = 0;
  uint64_t end = 0;
  uint64_t abbrevs = 0;    // in .debug_abbrev
  uint64_t signature = 0;  // of a type unit
  uint64_t type_die = 0;   // of a type unit: offset in the section
};

struct DwarfFile {
  std::string path;
  Bytes info, types, abbrev, str, line_str, str_offsets, addr, ranges, rnglists, aranges, loc,
      loclists, line;
  std::vector<DwarfUnit> units;          // those of .debug_info, then those of .debug_types
  const DwarfFile* alternate = nullptr;  // what dwz moved out; owned by whoever made this
  // Whether DIEs name DIEs of other units (dwz, LTO, type units).
  bool has_cross_references = false;
  std::vector<std::shared_ptr<void>> owners;  // of unpacked sections

  [[nodiscard]] Bytes section_of(const DwarfUnit& unit) const {
    return unit.space == DieRef::Space::Types ? types : info;
  }
};

// Sections beyond those that units consist of.
struct DwarfParts {
  bool lines = false;
  bool ranges = false;
  bool locations = false;
};

// What was unpacked for one reader, kept for the next: a file's types and lines are read one after
// the other, and to unpack it takes longer than to read lines. Of all files kMostKept bytes; what is
// beyond is unpacked anew. Files are known by their address, so they must outlive this.
class KeptSections {
 public:
  [[nodiscard]] std::optional<UnpackedSection> find(const ElfFile& file,
                                                    std::string_view name) const;
  void keep(const ElfFile& file, std::string_view name, const UnpackedSection& section);

 private:
  static constexpr uint64_t kMostKept = 64 << 20;
  mutable std::mutex mutex_;
  std::map<std::pair<const ElfFile*, std::string>, UnpackedSection> sections_;
  uint64_t bytes_ = 0;
};

// The file must outlive the result. Sections that cannot be read are empty; damaged unit headers
// end the list of units.
[[nodiscard]] DwarfFile read_dwarf_file(const ElfFile& file, DwarfParts parts, Notes& notes,
                                        KeptSections* kept = nullptr);

// What .gnu_debugaltlink names.
struct AlternateLink {
  std::string file_name;
  std::string build_id;  // lower-case hexadecimal
};
[[nodiscard]] std::optional<AlternateLink> alternate_link(const ElfFile& file);

}  // namespace heapscan

#include "symbols/dwarf/file.h"

#include <dwarf.h>

#include <fmt/format.h>

#include "heapscan/elf/compression.h"
#include "symbols/dwarf/cursor.h"

namespace heapscan {

namespace {

constexpr uint64_t kLargestSection = uint64_t{4} << 30;
constexpr size_t kMostUnits = 4'000'000;
constexpr size_t kLongestPath = 4096;
constexpr uint64_t kLongestBuildId = 64;

// DWARF 4 .debug_types units and DWARF 5 type units say which DIE the type is.
void read_type_fields(DwarfCursor& cursor, DwarfUnit& unit) {
  unit.signature = cursor.u64();
  unit.type_die = unit.begin + cursor.unsigned_of(unit.offset_size);
}

// False when the header cannot be understood; `unit.end` is set whenever the length was.
bool read_unit_header(Bytes section, DwarfUnit& unit) {
  DwarfCursor cursor(section, unit.begin);
  uint64_t length = cursor.u32();
  if (length == 0xffffffffU) {
    length = cursor.u64();
    unit.offset_size = 8;
  } else if (length >= 0xfffffff0U) {
    return false;
  }
  if (cursor.failed() || length > cursor.left()) return false;
  unit.end = cursor.at() + length;
  unit.version = cursor.u16();
  uint8_t address_size = 0;
  if (unit.version >= 5) {
    unit.type = cursor.u8();
    address_size = cursor.u8();
    unit.abbrevs = cursor.unsigned_of(unit.offset_size);
  } else {
    unit.abbrevs = cursor.unsigned_of(unit.offset_size);
    address_size = cursor.u8();
    unit.type = unit.space == DieRef::Space::Types ? DW_UT_type : DW_UT_compile;
  }
  if (unit.type == DW_UT_type || unit.type == DW_UT_split_type) read_type_fields(cursor, unit);
  if (unit.type == DW_UT_skeleton || unit.type == DW_UT_split_compile) cursor.skip(8);
  unit.first_die = cursor.at();
  return !cursor.failed() && unit.version >= 2 && unit.version <= 5 && address_size == 8 &&
         unit.first_die <= unit.end;
}

void read_units(Bytes section, DieRef::Space space, DwarfFile& file, Notes& notes) {
  for (uint64_t at = 0; at < section.size() && file.units.size() < kMostUnits;) {
    DwarfUnit unit;
    unit.space = space;
    unit.begin = at;
    const bool understood = read_unit_header(section, unit);
    if (understood) file.units.push_back(unit);
    if (unit.end <= at) {
      notes.push_back({NoteKind::MissingFile, file.path,
                       fmt::format("its debug information is damaged at offset {:#x}; what is "
                                   "behind that is not read",
                                   at)});
      return;
    }
    at = unit.end;
  }
}

bool crosses_units(uint64_t form) {
  switch (form) {
    case DW_FORM_ref_addr:
    case DW_FORM_ref_sig8:
    case DW_FORM_ref_sup4:
    case DW_FORM_ref_sup8:
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_indirect:
      return true;
    default:
      return false;
  }
}

// All tables lie one after the other; where that is not so, the answer is yes.
bool any_cross_reference(Bytes abbrev) {
  DwarfCursor cursor(abbrev);
  while (!cursor.at_end()) {
    if (cursor.uleb() == 0) continue;
    cursor.uleb();  // tag
    cursor.u8();    // whether it has children
    while (!cursor.failed()) {
      const uint64_t name = cursor.uleb();
      const uint64_t form = cursor.uleb();
      if (form == DW_FORM_implicit_const) cursor.sleb();
      if (crosses_units(form)) return true;
      if (name == 0 && form == 0) break;
    }
  }
  return cursor.failed();
}

}  // namespace

std::optional<UnpackedSection> KeptSections::find(const ElfFile& file,
                                                  std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto known = sections_.find({&file, std::string(name)});
  if (known == sections_.end()) return std::nullopt;
  return known->second;
}

void KeptSections::keep(const ElfFile& file, std::string_view name,
                        const UnpackedSection& section) {
  const std::lock_guard lock(mutex_);
  if (section.bytes.size() > kMostKept - bytes_) return;
  if (sections_.try_emplace({&file, std::string(name)}, section).second)
    bytes_ += section.bytes.size();
}

DwarfFile read_dwarf_file(const ElfFile& file, DwarfParts parts, Notes& notes, KeptSections* kept) {
  DwarfFile dwarf;
  dwarf.path = file.path();
  const auto read = [&](const char* name, bool wanted = true) {
    if (!wanted) return Bytes();
    const auto known = kept != nullptr ? kept->find(file, name) : std::nullopt;
    UnpackedSection section = known ? *known : unpack_section(file, name, kLargestSection, notes);
    if (section.owner && !known && kept != nullptr) kept->keep(file, name, section);
    if (section.owner) dwarf.owners.push_back(std::move(section.owner));
    return section.bytes;
  };
  dwarf.info = read(".debug_info");
  dwarf.types = read(".debug_types");
  dwarf.abbrev = read(".debug_abbrev");
  dwarf.str = read(".debug_str");
  dwarf.line_str = read(".debug_line_str");
  dwarf.str_offsets = read(".debug_str_offsets");
  dwarf.addr = read(".debug_addr");
  dwarf.ranges = read(".debug_ranges", parts.ranges);
  dwarf.rnglists = read(".debug_rnglists", parts.ranges);
  dwarf.aranges = read(".debug_aranges", parts.ranges);
  dwarf.loc = read(".debug_loc", parts.locations);
  dwarf.loclists = read(".debug_loclists", parts.locations);
  dwarf.line = read(".debug_line", parts.lines);
  read_units(dwarf.info, DieRef::Space::Info, dwarf, notes);
  read_units(dwarf.types, DieRef::Space::Types, dwarf, notes);
  dwarf.has_cross_references = any_cross_reference(dwarf.abbrev);
  return dwarf;
}

std::optional<AlternateLink> alternate_link(const ElfFile& file) {
  const auto content = file.section(".gnu_debugaltlink");
  if (!content) return std::nullopt;
  const std::string_view name = string_at(*content, 0);
  if (name.empty() || name.size() > kLongestPath || name.size() + 1 >= content->size())
    return std::nullopt;
  const Bytes id = content->subspan(name.size() + 1);
  if (id.size() > kLongestBuildId) return std::nullopt;
  AlternateLink link{std::string(name), {}};
  for (const std::byte b : id) link.build_id += fmt::format("{:02x}", static_cast<unsigned>(b));
  return link;
}

}  // namespace heapscan

#include "symbols/dwarf/libdw_file.h"

#include <dwarf.h>

#include "symbols/dwarf/cursor.h"

namespace heapscan {

namespace {

// Abbreviations that libdw parses to know all units' first entries: it keeps four times as much.
// Chromium's 30,000 units need 30 MiB.
constexpr uint64_t kMostParsed = uint64_t{128} << 20;
constexpr size_t kMostLibdwUnits = 500'000;

// How many bytes of the table are read until `code` is found.
uint64_t bytes_until(Bytes abbrev, uint64_t table, uint64_t code, uint64_t most) {
  DwarfCursor cursor(abbrev, table);
  while (!cursor.at_end() && cursor.at() - table <= most) {
    const uint64_t here = cursor.uleb();
    if (here == 0) break;
    cursor.uleb();  // tag
    cursor.u8();    // whether it has children
    while (!cursor.failed()) {
      const uint64_t name = cursor.uleb();
      const uint64_t form = cursor.uleb();
      if (form == DW_FORM_implicit_const) cursor.sleb();
      if (name == 0 && form == 0) break;
    }
    if (here == code) break;
  }
  return cursor.at() - std::min(table, cursor.at());
}

bool is_bounded(const DwarfFile& file) {
  if (file.units.size() > kMostLibdwUnits) return false;
  uint64_t left = kMostParsed;
  for (const DwarfUnit& unit : file.units) {
    DwarfCursor cursor(file.section_of(unit), unit.first_die);
    const uint64_t parsed = bytes_until(file.abbrev, unit.abbrevs, cursor.uleb(), left);
    if (parsed > left) return false;
    left -= parsed;
  }
  return true;
}

}  // namespace

std::optional<LibdwFile> LibdwFile::open(const DwarfFile& file, Texts texts) {
  if (!is_bounded(file)) return std::nullopt;
  SectionElf elf({{".debug_info", file.info},
                  {".debug_types", file.types},
                  {".debug_abbrev", file.abbrev},
                  {".debug_str", texts == Texts::All ? file.str : Bytes()},
                  {".debug_line_str", file.line_str},
                  {".debug_str_offsets", file.str_offsets},
                  {".debug_addr", file.addr},
                  {".debug_ranges", file.ranges},
                  {".debug_rnglists", file.rnglists},
                  {".debug_loc", file.loc},
                  {".debug_loclists", file.loclists},
                  {".debug_line", file.line}});
  if (elf.handle() == nullptr) return std::nullopt;
  Dwarf* const dwarf = dwarf_begin_elf(elf.handle(), DWARF_C_READ, nullptr);
  if (dwarf == nullptr) return std::nullopt;
  return LibdwFile(std::move(elf), dwarf);
}

std::optional<Dwarf_Die> LibdwFile::root_of(const DwarfUnit& unit) const {
  Dwarf_Die die;
  if (unit.space != DieRef::Space::Info ||
      dwarf_offdie(dwarf_.get(), unit.first_die, &die) == nullptr)
    return std::nullopt;
  return die;
}

}  // namespace heapscan

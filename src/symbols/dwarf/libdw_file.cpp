#include "symbols/dwarf/libdw_file.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>

#include "symbols/dwarf/cursor.h"

namespace heapscan {

namespace {

// Bytes of abbreviations that libdw parses to know all units' first entries. GCC's C++ needs 4 KiB a
// unit, so this is enough for 30,000 of them; of the shortest abbreviations libdw keeps 14 times as
// much.
constexpr uint64_t kMostParsed = uint64_t{128} << 20;
constexpr size_t kMostLibdwUnits = 500'000;
constexpr uint64_t kMostSteps = 40'000'000;  // ranges of units, and addresses found in them

// Returns how many there were.
uint64_t skip_attributes(DwarfCursor& cursor) {
  uint64_t count = 0;
  for (; !cursor.failed() && !cursor.at_end(); ++count) {
    const uint64_t name = cursor.uleb();
    const uint64_t form = cursor.uleb();
    if (form == DW_FORM_implicit_const) cursor.sleb();
    if (name == 0 && form == 0) break;
  }
  return count;
}

// How many bytes of the table are read until `code` is found.
uint64_t bytes_until(Bytes abbrev, uint64_t table, uint64_t code, uint64_t most) {
  DwarfCursor cursor(abbrev, table);
  while (!cursor.at_end() && cursor.at() - table <= most) {
    const uint64_t here = cursor.uleb();
    if (here == 0) break;
    cursor.uleb();  // tag
    cursor.u8();    // whether it has children
    skip_attributes(cursor);
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
  auto handle = open_handle(file, texts);
  if (!handle) return std::nullopt;
  LibdwFile libdw(file, std::move(*handle));
  if (file.alternate != nullptr && texts == Texts::All) {
    libdw.alternate_ = open_handle(*file.alternate, texts);
    if (libdw.alternate_) dwarf_setalt(libdw.handle_.dwarf.get(), libdw.alternate_->dwarf.get());
  }
  return libdw;
}

auto LibdwFile::open_handle(const DwarfFile& file, Texts texts) -> std::optional<Handle> {
  if (!is_bounded(file)) return std::nullopt;
  Handle handle{SectionElf({{".debug_info", file.info},
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
                            {".debug_line", file.line}}),
                nullptr};
  if (handle.elf.handle() == nullptr) return std::nullopt;
  handle.dwarf.reset(dwarf_begin_elf(handle.elf.handle(), DWARF_C_READ, nullptr));
  if (!handle.dwarf) return std::nullopt;
  return handle;
}

void LibdwFile::for_units_with(std::span<const FileAddr> addresses, const UnitVisitor& f) const {
  uint64_t steps_left = kMostSteps;
  for (size_t i = 0; i < file_->units.size() && steps_left > 0; ++i) {
    const DwarfUnit& unit = file_->units[i];
    Dwarf_Die root;
    if ((unit.type != DW_UT_compile && unit.type != DW_UT_skeleton) ||
        dwarf_offdie(handle_.dwarf.get(), unit.first_die, &root) == nullptr)
      continue;
    const std::vector<size_t> here = find_in(root, addresses, steps_left);
    if (!here.empty() && !f(i, root, here)) return;
  }
}

std::vector<size_t> LibdwFile::find_in(Dwarf_Die& unit, std::span<const FileAddr> addresses,
                                       uint64_t& steps_left) const {
  std::vector<size_t> found;
  Dwarf_Addr base = 0;
  Dwarf_Addr begin = 0;
  Dwarf_Addr end = 0;
  for (ptrdiff_t at = 0; steps_left > 0; --steps_left) {
    at = dwarf_ranges(&unit, at, &base, &begin, &end);
    if (at <= 0) break;
    const auto first = std::partition_point(addresses.begin(), addresses.end(),
                                            [&](FileAddr a) { return a.value < begin; });
    for (auto a = first; a != addresses.end() && a->value < end && steps_left > 1; ++a) {
      if (found.size() > addresses.size()) break;  // ranges that overlap, over and over
      found.push_back(static_cast<size_t>(a - addresses.begin()));
      --steps_left;
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

LibdwFile::Abbreviations LibdwFile::abbreviations_of(size_t unit) const {
  const uint64_t table = file_->units[unit].abbrevs;
  DwarfCursor cursor(file_->abbrev, table);
  Abbreviations found;
  while (!cursor.at_end() && cursor.uleb() != 0) {
    cursor.uleb();  // tag
    cursor.u8();    // whether it has children
    found.most_attributes = std::max(found.most_attributes, skip_attributes(cursor));
  }
  found.bytes = cursor.at() - std::min(table, cursor.at());
  return found;
}

DieRef LibdwFile::reference_to(Dwarf_Die& die, const Dwarf_Attribute& attribute) const {
  Dwarf_Attribute copy = attribute;
  if (dwarf_whatform(&copy) == DW_FORM_ref_sig8) {
    uint64_t signature = 0;
    std::memcpy(&signature, attribute.valp, sizeof signature);
    return {DieRef::Space::Signature, signature};
  }
  const bool is_away = alternate_ && dwarf_cu_getdwarf(die.cu) == alternate_->dwarf.get();
  return {is_away ? DieRef::Space::Alternate : DieRef::Space::Info, dwarf_dieoffset(&die)};
}

}  // namespace heapscan

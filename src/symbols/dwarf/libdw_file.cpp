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
constexpr uint64_t kMostUnitSteps = 40'000'000;  // ranges of units, and addresses found in them

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

// The units (where they begin) that .debug_aranges names for the addresses, which are sorted. To ask
// each unit instead, libdw parses the abbreviations of all. Nothing unless every address is found:
// Clang writes no such table, and where compilers were mixed it is not of all units.
std::optional<std::vector<uint64_t>> units_by_table(const DwarfFile& file,
                                                    std::span<const FileAddr> addresses) {
  std::vector<uint64_t> units;
  std::vector<uint8_t> is_found(addresses.size(), 0);
  uint64_t steps_left = kMostUnitSteps;
  DwarfCursor cursor(file.aranges);
  while (!cursor.at_end()) {
    const uint64_t begin = cursor.at();
    const uint32_t short_length = cursor.u32();
    const bool is_long = short_length == 0xffffffff;
    const uint64_t length = is_long ? cursor.u64() : short_length;
    const uint64_t content = cursor.at();
    const uint16_t version = cursor.u16();
    const uint64_t unit = is_long ? cursor.u64() : cursor.u32();
    const uint8_t address_size = cursor.u8();
    const uint8_t segment_size = cursor.u8();
    if (cursor.failed() || length > file.aranges.size() - content || version != 2 ||
        address_size != 8 || segment_size != 0)
      return std::nullopt;
    const uint64_t header = (cursor.at() - begin + 15) / 16 * 16;
    const uint64_t end = content + length;
    DwarfCursor rows(file.aranges.first(end), begin + header);
    while (!rows.at_end()) {
      const uint64_t first = rows.u64();
      const uint64_t size = rows.u64();
      auto at = std::partition_point(addresses.begin(), addresses.end(),
                                     [&](FileAddr a) { return a.value < first; });
      for (; at != addresses.end() && at->value - first < size; ++at) {
        if (steps_left-- == 0) return std::nullopt;  // the same addresses over and over
        uint8_t& found = is_found[static_cast<size_t>(at - addresses.begin())];
        if (found != 0) continue;  // one unit each is enough
        found = 1;
        units.push_back(unit);
      }
    }
    cursor = DwarfCursor(file.aranges, end);
  }
  if (std::find(is_found.begin(), is_found.end(), 0) != is_found.end()) return std::nullopt;
  std::sort(units.begin(), units.end());
  return units;
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
  const auto named = units_by_table(*file_, addresses);
  uint64_t steps_left = kMostUnitSteps;
  for (size_t i = 0; i < file_->units.size() && steps_left > 0; ++i) {
    const DwarfUnit& unit = file_->units[i];
    if (named && !std::binary_search(named->begin(), named->end(), unit.begin)) continue;
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

std::optional<uint64_t> number_of(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr(&die, name, &attribute) == nullptr || dwarf_formudata(&attribute, &value) != 0)
    return std::nullopt;
  return value;
}

bool has_code(Dwarf_Die& die) {
  return dwarf_hasattr(&die, DW_AT_low_pc) != 0 || dwarf_hasattr(&die, DW_AT_ranges) != 0;
}

}  // namespace heapscan

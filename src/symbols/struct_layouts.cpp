// The C library is built from thousands of units, of which one describes malloc: only that is read,
// and what dwz moved out of it.
#include "symbols/struct_layouts.h"

#include <dwarf.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "symbols/dwarf/unit_types.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostLayoutNameBytes = uint64_t{64} << 20;
constexpr std::array<std::string_view, 6> kWanted = {
    "malloc_state", "malloc_par", "tcache_perthread_struct",
    "tcache_entry", "_heap_info", "malloc_chunk"};

using Structs = std::map<std::string, StructLayout, std::less<>>;

bool is_wanted(const RawType& type) {
  return type.kind == TypeKind::Struct && !type.declared && type.size != 0 &&
         std::find(kWanted.begin(), kWanted.end(), type.name) != kWanted.end();
}

void take_structs(const UnitTypes& unit, Structs& out) {
  for (const RawType& type : unit.types) {
    if (!is_wanted(type) || out.contains(type.name)) continue;
    StructLayout layout;
    layout.size = type.size;
    for (uint32_t i = 0; i < type.count; ++i) {
      const RawMember& member = unit.members[type.first + i];
      if (!member.name.empty() && member.offset < type.size)
        layout.members.emplace(member.name, member.offset);
    }
    if (!layout.members.empty()) out.emplace(type.name, std::move(layout));
  }
}

bool is_of_malloc(const UnitReader& reader) {
  const std::string_view source = reader.name_of(reader.root());
  return source == "malloc.c" || source.ends_with("/malloc.c");
}

}  // namespace

Structs read_malloc_structs(const ElfFile& file, KeptSections* kept) {
  Structs structs;
  Notes ignored;  // damage only means that less is known
  const DwarfFile dwarf = read_dwarf_file(file, {}, ignored, kept);
  AbbrevCache cache;
  UnitFinder others(dwarf, cache);
  UnitTypes unit_types;
  unit_types.names_left = kMostLayoutNameBytes;
  const auto read_units = [&](auto&& is_meant) {
    for (const DwarfUnit& unit : dwarf.units) {
      if (structs.size() == kWanted.size() || cache.exhausted()) return;
      const UnitReader reader(dwarf, unit, cache);
      if (!reader.valid() || !is_meant(reader)) continue;
      read_unit_types(reader, others, false, unit_types);
      take_structs(unit_types, structs);
    }
  };
  read_units(is_of_malloc);
  if (!structs.empty())
    read_units([](const UnitReader& r) { return r.root().tag == DW_TAG_partial_unit; });
  return structs;
}

}  // namespace heapscan

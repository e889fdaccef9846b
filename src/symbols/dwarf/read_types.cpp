// The units of all modules are divided into pieces of some size, each read into a table of its own,
// in parallel; the tables are then joined in the order of the file. Joining is cheap, for a table
// holds each type once, and programs of many units repeat few types often.
#include "symbols/dwarf/read_types.h"

#include <dwarf.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "symbols/dwarf/frames.h"
#include "symbols/dwarf/type_table.h"
#include "symbols/dwarf/unit_types.h"

namespace heapscan {

namespace {

constexpr uint64_t kPieceBytes = uint64_t{16} << 20;
constexpr uint64_t kNamesPerByte = 64;
constexpr uint64_t kMostOtherDies = 20'000'000;
constexpr uint64_t kNamesAtLeast = uint64_t{64} << 20;

struct OpenModule {
  const DebugFile* source = nullptr;
  DwarfFile file;
  std::unique_ptr<DwarfFile> alternate;
  bool assume_cpp = false;  // of units that do not say their language (dwz's)
  std::vector<RawLocal> locals;
  Notes notes;
};

struct Piece {
  uint32_t module = 0;
  bool of_alternate = false;
  size_t first = 0;  // units [first, end)
  size_t end = 0;
  TypeTable table;
  uint64_t damaged = 0;
  uint64_t split = 0;
};

bool any_unit_is_cpp(const DwarfFile& file) {
  AbbrevCache cache;
  for (const DwarfUnit& unit : file.units) {
    const UnitReader reader(file, unit, cache);
    const auto language = reader.number(reader.root().find(Attribute::Language));
    if (language && is_cpp(*language)) return true;
  }
  return false;
}

OpenModule open_module(const MemoryImage& image, const DebugFile& source) {
  OpenModule open;
  open.source = &source;
  const bool locals = !source.frames.empty();
  open.file = read_dwarf_file(*source.file, {.ranges = locals, .locations = locals}, open.notes,
                              source.kept);
  if (source.alternate != nullptr) {
    open.alternate = std::make_unique<DwarfFile>(
        read_dwarf_file(*source.alternate, {}, open.notes, source.kept));
    open.file.alternate = open.alternate.get();
  }
  if (open.file.has_cross_references) open.assume_cpp = any_unit_is_cpp(open.file);
  open.locals = read_locals(open.file, image, source.frames);
  return open;
}

void divide(const DwarfFile& file, uint32_t module, bool of_alternate, std::vector<Piece>& out) {
  for (size_t first = 0; first < file.units.size();) {
    Piece piece;
    piece.module = module;
    piece.of_alternate = of_alternate;
    piece.first = first;
    for (uint64_t bytes = 0; first < file.units.size() && bytes < kPieceBytes; ++first)
      bytes += file.units[first].end - file.units[first].begin;
    piece.end = first;
    out.push_back(std::move(piece));
  }
}

void add_locals(const OpenModule& open, size_t unit, UnitTypes& out) {
  const auto first = std::partition_point(open.locals.begin(), open.locals.end(),
                                          [&](const RawLocal& l) { return l.unit < unit; });
  for (auto local = first; local != open.locals.end() && local->unit == unit; ++local) {
    out.variables.push_back(local->variable);
    out.variables.back().scope = out.scope_of(local->function_at + 1);
  }
}

void read_piece(const OpenModule& open, Piece& piece) {
  const DwarfFile& file = piece.of_alternate ? *open.alternate : open.file;
  UnitTypes unit_types;
  unit_types.file = piece.module;
  unit_types.is_alternate = piece.of_alternate;
  unit_types.names_left = kNamesAtLeast;
  unit_types.others_left = kMostOtherDies;
  AbbrevCache cache;
  UnitFinder others(file, cache);
  for (size_t i = piece.first; i < piece.end && !piece.table.full(); ++i) {
    const DwarfUnit& unit = file.units[i];
    unit_types.names_left += kNamesPerByte * (unit.end - unit.begin);
    const UnitReader reader(file, unit, cache);
    read_unit_types(reader, others, open.assume_cpp, unit_types);
    piece.damaged += unit_types.damaged ? 1 : 0;
    piece.split += unit_types.is_split ? 1 : 0;
    if (!piece.of_alternate) add_locals(open, i, unit_types);
    piece.table.add(unit_types, piece.of_alternate || file.has_cross_references);
    if (unit.type == DW_UT_type) {
      piece.table.add_signature(unit_types, {DieRef::Space::Signature, unit.signature},
                                {unit.space, unit.type_die});
    }
  }
}

bool lies_in(const Module& module, Addr address) {
  return std::any_of(module.segments.begin(), module.segments.end(),
                     [&](const ModuleSegment& s) { return s.range.contains(address); });
}

void place_variables(const DebugFile& source, TypeTable& table) {
  auto& variables = table.variables();
  const uint64_t tls_size = source.module->tls ? source.module->tls->size : 0;
  std::erase_if(variables, [&](const TypeTable::PlacedVariable& v) {
    if (v.frame != nullptr) return false;
    if (v.is_thread_local) return v.place >= tls_size;
    return !lies_in(*source.module, source.module->at_run_time(FileAddr(v.place)));
  });
  // Templates and inline variables are in every unit that uses them.
  const auto order = [](const TypeTable::PlacedVariable& v) {
    return std::tie(v.is_thread_local, v.place, v.name, v.function);
  };
  std::stable_sort(variables.begin(), variables.end(),
                   [&](const auto& a, const auto& b) { return order(a) < order(b); });
  variables.erase(std::unique(variables.begin(), variables.end(),
                              [&](const auto& a, const auto& b) { return order(a) == order(b); }),
                  variables.end());
  for (auto& variable : variables) variable.module = source.id;
}

void add_notes(const OpenModule& open, uint64_t damaged, uint64_t split, bool full,
               TypesBuilder& builder) {
  for (const Note& note : open.notes) builder.add_note(note);
  const auto note = [&](std::string text) {
    builder.add_note({NoteKind::MissingFile, open.source->file->path(), std::move(text)});
  };
  if (damaged != 0)
    note("its debug information is damaged in " + counted(damaged, "unit") +
         "; what was understood is used");
  if (split != 0)
    note("the types of " + counted(split, "unit") + " are in .dwo files, which are not read");
  if (full) note("it describes more types than are read; some are missing");
}

void add_variables(const std::vector<DebugFile>& modules, TypeTable& table, TypesBuilder& builder) {
  Column<ModuleId, const Module*> module_of;
  for (const DebugFile& source : modules) {
    while (module_of.size() <= source.id.index()) module_of.push_back(nullptr);
    module_of[source.id] = source.module;
  }
  for (TypeTable::PlacedVariable& from : table.variables()) {
    const TypeId type = table.type_of(from.type);
    if (!type.valid()) continue;
    if (from.frame != nullptr) {
      builder.add_local({std::move(from.name), std::move(from.function), from.frame->tid,
                         Addr(from.place), type});
      continue;
    }
    Variable variable;
    variable.name = std::move(from.name);
    variable.module = from.module;
    variable.is_thread_local = from.is_thread_local;
    variable.address = from.is_thread_local
                           ? Addr(from.place)
                           : module_of[from.module]->at_run_time(FileAddr(from.place));
    variable.type = type;
    builder.add_variable(std::move(variable));
  }
}

}  // namespace

void read_module_types(const MemoryImage& image, const std::vector<DebugFile>& modules,
                       TypesBuilder& builder) {
  std::vector<OpenModule> open(modules.size());
  parallel_for(modules.size(), [&](size_t i) { open[i] = open_module(image, modules[i]); });
  std::vector<Piece> pieces;
  for (uint32_t i = 0; i < open.size(); ++i) {
    divide(open[i].file, i, false, pieces);
    if (open[i].alternate) divide(*open[i].alternate, i, true, pieces);
  }
  parallel_for(pieces.size(), [&](size_t i) { read_piece(open[pieces[i].module], pieces[i]); });

  TypeTable all;
  auto piece = pieces.begin();
  for (uint32_t i = 0; i < open.size(); ++i) {
    TypeTable table;
    uint64_t damaged = 0;
    uint64_t split = 0;
    bool full = false;
    for (; piece != pieces.end() && piece->module == i; ++piece) {
      damaged += piece->damaged;
      split += piece->split;
      full = full || piece->table.full();
      table.add(std::move(piece->table));
      piece->table = TypeTable();
    }
    table.resolve_references();
    place_variables(modules[i], table);
    table.set_module(modules[i].id);
    all.add(std::move(table));
    add_notes(open[i], damaged, split, full || all.full(), builder);
  }
  all.resolve_declarations();
  all.emit(builder);
  add_variables(modules, all, builder);
}

// The C library is built from thousands of units, of which one describes malloc: only that is read,
// and what dwz moved out of it.

namespace {

constexpr uint64_t kMostLayoutNameBytes = uint64_t{64} << 20;
constexpr std::array<std::string_view, 6> kWanted = {
    "malloc_state", "malloc_par", "tcache_perthread_struct",
    "tcache_entry", "_heap_info", "malloc_chunk"};

bool is_wanted(const RawType& type) {
  return type.kind == TypeKind::Struct && !type.declared && type.size != 0 &&
         std::find(kWanted.begin(), kWanted.end(), type.name) != kWanted.end();
}

void take_structs(const UnitTypes& unit, StructLayouts& out) {
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

StructLayouts read_malloc_structs(const ElfFile& file, KeptSections* kept) {
  StructLayouts structs;
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

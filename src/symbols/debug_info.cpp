#include "heapscan/symbols/debug_info.h"

#include <algorithm>
#include <utility>

#include "heapscan/base/parallel.h"
#include "heapscan/symbols/types.h"
#include "symbols/debug_files.h"
#include "symbols/dwarf/frames.h"
#include "symbols/dwarf/inlined_calls.h"
#include "symbols/dwarf/libdw_file.h"
#include "symbols/dwarf/named_values.h"
#include "symbols/dwarf/read_types.h"

namespace heapscan {

struct DebugInfo::Files {
  struct Entry {
    const ElfFile* file = nullptr;   // the module's own
    const ElfFile* dwarf = nullptr;  // where it is: the module's file, or `separate`
    std::optional<ElfFile> separate;
    std::optional<ElfFile> alternate;
  };
  Column<ModuleId, Module> modules;
  Column<ModuleId, Entry> entries;
  KeptSections kept;
  Notes notes;
};

namespace {

bool is_code_of(const Module& module, Addr address) {
  return std::any_of(module.segments.begin(), module.segments.end(), [&](const ModuleSegment& s) {
    return s.executable && s.range.contains(address);
  });
}

// Calls visit(DWARF, which of the addresses, those in the file, the module's file) for each module that
// has code at any of them and is described; sorted by address.
template <typename Files, typename Visit>
void visit_modules_with(Files& files, std::span<const Addr> addresses, const DwarfParts& parts,
                        Visit&& visit) {
  parallel_for(files.modules.size(), [&](size_t i) {
    const auto& entry = files.entries[ModuleId(i)];
    if (entry.dwarf == nullptr) return;
    const Module& module = files.modules[ModuleId(i)];
    std::vector<size_t> here;  // which of the addresses are the module's
    for (size_t a = 0; a < addresses.size(); ++a) {
      if (is_code_of(module, addresses[a])) here.push_back(a);
    }
    if (here.empty()) return;
    std::sort(here.begin(), here.end(),
              [&](size_t a, size_t b) { return addresses[a] < addresses[b]; });
    std::vector<FileAddr> in_file;
    for (const size_t a : here) in_file.push_back(module.in_file(addresses[a]));
    Notes damage;  // of sections that then answer nothing
    DwarfFile alternate;
    DwarfFile dwarf = read_dwarf_file(*entry.dwarf, parts, damage, &files.kept);
    if (entry.alternate) {
      alternate = read_dwarf_file(*entry.alternate, {}, damage, &files.kept);
      dwarf.alternate = &alternate;
    }
    visit(dwarf, here, in_file, entry.file);
  });
}

}  // namespace

DebugInfo::DebugInfo() : files_(std::make_unique<Files>()) {}
DebugInfo::DebugInfo(DebugInfo&&) noexcept = default;
DebugInfo& DebugInfo::operator=(DebugInfo&&) noexcept = default;
DebugInfo::~DebugInfo() = default;

DebugInfo open_debug_info(const MemoryImage& image, const ModuleFiles& files,
                          const SymbolOptions& options) {
  DebugInfo info;
  DebugInfo::Files& out = *info.files_;
  out.modules = image.modules();
  for (size_t i = 0; i < out.modules.size(); ++i) out.entries.push_back({});
  std::vector<Notes> notes(out.modules.size());
  parallel_for(out.modules.size(), [&](size_t i) {
    const ModuleId id(i);
    DebugInfo::Files::Entry& entry = out.entries[id];
    const ElfFile* const file = i < files.size() && files[id] ? &*files[id] : nullptr;
    entry.file = file;
    if (file != nullptr && file->has_section(".debug_info")) {
      entry.dwarf = file;
    } else {
      entry.separate = find_debug_file(out.modules[id], file, options, notes[i]);
      if (entry.separate && entry.separate->has_section(".debug_info"))
        entry.dwarf = &*entry.separate;
    }
    if (entry.dwarf != nullptr)
      entry.alternate = find_alternate_file(*entry.dwarf, options, notes[i]);
  });
  for (Notes& list : notes) std::move(list.begin(), list.end(), std::back_inserter(out.notes));
  if (options.debuginfod && debuginfod_is_missing()) {
    out.notes.push_back({NoteKind::MissingFile, "DEBUGINFOD_URLS",
                         "no server is asked for debug information: libdebuginfod is not "
                         "installed"});
  }
  return info;
}

const Notes& DebugInfo::notes() const { return files_->notes; }

const ElfFile* DebugInfo::separate_file(ModuleId module) const {
  if (module.index() >= files_->entries.size()) return nullptr;
  const auto& separate = files_->entries[module].separate;
  return separate ? &*separate : nullptr;
}

KeptSections& DebugInfo::kept_sections() const { return files_->kept; }

bool DebugInfo::describes(ModuleId module) const {
  return module.index() < files_->entries.size() && files_->entries[module].dwarf != nullptr;
}

Types DebugInfo::read_types(const MemoryImage& image, std::span<const ModuleId> modules) const {
  Column<ModuleId, const ElfFile*> code;
  for (const Files::Entry& entry : files_->entries) code.push_back(entry.file);
  std::vector<Frame> frames = unwind_stacks(image, code);
  std::stable_sort(frames.begin(), frames.end(),
                   [](const Frame& a, const Frame& b) { return a.module < b.module; });
  std::vector<DebugFile> wanted;
  for (const ModuleId id : modules) {
    if (!describes(id)) continue;
    const Files::Entry& entry = files_->entries[id];
    const auto first = std::partition_point(frames.begin(), frames.end(),
                                            [&](const Frame& f) { return f.module < id; });
    const auto last =
        std::partition_point(first, frames.end(), [&](const Frame& f) { return f.module == id; });
    wanted.push_back({id, &files_->modules[id], entry.dwarf,
                      entry.alternate ? &*entry.alternate : nullptr,
                      std::span<const Frame>(first, last), &files_->kept});
  }
  TypesBuilder builder;
  read_module_types(image, wanted, builder);
  return builder.freeze();
}

std::vector<std::optional<SourceLine>> DebugInfo::lines_of(std::span<const Addr> addresses) const {
  std::vector<std::optional<SourceLine>> lines(addresses.size());
  visit_modules_with(
      *files_, addresses, {.lines = true, .ranges = true},
      [&](const DwarfFile& dwarf, std::span<const size_t> which, std::span<const FileAddr> in_file,
          const ElfFile*) {
        std::vector<LineQuery> queries;
        for (const FileAddr address : in_file) queries.push_back({address, {}, 0});
        find_lines(dwarf, queries);
        for (size_t q = 0; q < which.size(); ++q) {
          if (queries[q].line != 0)
            lines[which[q]] = SourceLine{std::move(queries[q].file), queries[q].line};
        }
      });
  return lines;
}

std::vector<std::vector<InlinedCall>> DebugInfo::inlined_calls_at(
    std::span<const Addr> addresses) const {
  std::vector<std::vector<InlinedCall>> calls(addresses.size());
  visit_modules_with(*files_, addresses, {.lines = true, .ranges = true},
                     [&](const DwarfFile& dwarf, std::span<const size_t> which,
                         std::span<const FileAddr> in_file, const ElfFile*) {
                       auto found = find_inlined_calls(dwarf, in_file);
                       for (size_t q = 0; q < which.size(); ++q)
                         calls[which[q]] = std::move(found[q]);
                     });
  return calls;
}

std::vector<std::optional<NamedValue>> DebugInfo::named_values_at(
    std::span<const ValuePlace> places) const {
  std::vector<Addr> addresses;
  for (const ValuePlace& place : places) addresses.push_back(place.code.begin());
  std::vector<std::optional<NamedValue>> values(places.size());
  visit_modules_with(
      *files_, addresses, {.ranges = true, .locations = true},
      [&](const DwarfFile& dwarf, std::span<const size_t> which, std::span<const FileAddr> in_file,
          const ElfFile* code) {
        std::vector<ValueQuery> queries;
        for (size_t q = 0; q < which.size(); ++q) {
          const ValuePlace& place = places[which[q]];
          queries.push_back({place.kind, in_file[q], FileAddr(in_file[q].value + place.code.size()),
                             place.reg, place.displacement, place.member});
        }
        auto found = find_named_values(dwarf, code, queries);
        for (size_t q = 0; q < which.size(); ++q) values[which[q]] = std::move(found[q]);
      });
  return values;
}

}  // namespace heapscan

#include <utility>
#include <vector>

#include "heapscan/base/parallel.h"
#include "heapscan/elf/compression.h"
#include "heapscan/symbols/debug_info.h"
#include "heapscan/symbols/symbols.h"
#include "symbols/dwarf/read_types.h"

namespace heapscan {

namespace {

constexpr uint64_t kLargestMinimalTable = uint64_t{256} << 20;

enum class Table { Dynamic, Full };

// Of several symbols with one name: what others link to, then what is visible at all, then files'
// own.
uint8_t rank_of(const ElfSymbol& symbol, Table table) {
  if (symbol.hidden) return 3;
  if (symbol.binding == STB_LOCAL) return 2;
  return table == Table::Dynamic ? 0 : 1;
}

bool names_a_place(const ElfSymbol& symbol) {
  if (!symbol.defined || symbol.absolute) return false;
  switch (symbol.type) {
    case STT_NOTYPE:
    case STT_OBJECT:
    case STT_FUNC:
    case STT_COMMON:
    case STT_TLS:
    case STT_GNU_IFUNC:
      return true;
    default:
      return false;
  }
}

class ModuleLoader {
 public:
  ModuleLoader(ModuleId id, const Module& module, SymbolsBuilder& builder)
      : id_(id), module_(module), builder_(builder) {}

  // `info` has found `debug`.
  void load(const ElfFile* file, const ElfFile* debug,
            const std::shared_ptr<const DebugInfo>& info) {
    if (file != nullptr) read(*file);
    if (debug != nullptr) {
      read(*debug);
    } else if (file != nullptr && !file->has_section(".symtab")) {
      read_minimal_table(*file);
    }
    if (defines_malloc_) {
      builder_.set_struct_reader(id_, [file, debug, info] {
        StructLayouts structs;
        for (const ElfFile* source : {debug, file}) {
          if (source != nullptr && structs.empty())
            structs = read_malloc_structs(*source, &info->kept_sections());
        }
        return structs;
      });
    }
    builder_.sort(id_);
  }
  [[nodiscard]] Notes& notes() { return notes_; }

 private:
  void read(const ElfFile& file) {
    for (const ElfSymbol& symbol : file.dynamic_symbols()) add(symbol, Table::Dynamic);
    for (const ElfSymbol& symbol : file.symbols()) add(symbol, Table::Full);
  }

  // An ELF file within the ELF file, packed with xz, that has nothing but a .symtab of what .dynsym
  // leaves out.
  void read_minimal_table(const ElfFile& file) {
    const auto packed = file.section(".gnu_debugdata");
    if (!packed) return;
    auto unpacked = unpack_xz(*packed, kLargestMinimalTable);
    if (!unpacked) {
      notes_.push_back({NoteKind::MissingFile, file.path(),
                        "its compressed symbols (.gnu_debugdata) are damaged or too large"});
      return;
    }
    const auto table = ElfFile::from_mapping(std::move(*unpacked), file.path(), notes_);
    if (table) read(*table);
  }

  void add(const ElfSymbol& symbol, Table table) {
    if (!names_a_place(symbol)) return;
    SymbolRow row;
    row.name = symbol.name;
    row.size = symbol.size;
    row.tls = symbol.type == STT_TLS;
    row.address = row.tls ? Addr(symbol.address.value) : module_.at_run_time(symbol.address);
    row.exported = table == Table::Dynamic && symbol.binding != STB_LOCAL;
    row.rank = rank_of(symbol, table);
    builder_.add(id_, row);
    defines_malloc_ = defines_malloc_ || symbol.name == "malloc" || symbol.name == "main_arena";
  }

  ModuleId id_;
  const Module& module_;
  SymbolsBuilder& builder_;
  Notes notes_;
  bool defines_malloc_ = false;
};

Symbols load_from(const MemoryImage& image, const ModuleFiles& files,
                  const std::shared_ptr<const DebugInfo>& info, const Notes& on_files) {
  SymbolsBuilder builder(image);
  const size_t count = image.modules().size();
  std::vector<Notes> notes(count);
  parallel_for(count, [&](size_t i) {
    const ModuleId id(i);
    const ElfFile* const file = i < files.size() && files[id] ? &*files[id] : nullptr;
    ModuleLoader loader(id, image.modules()[id], builder);
    loader.load(file, info->separate_file(id), info);
    notes[i] = std::move(loader.notes());
  });
  for (const Note& note : on_files) builder.add_note(note);
  for (Notes& list : notes) {
    for (Note& note : list) builder.add_note(std::move(note));
  }
  return builder.freeze();
}

}  // namespace

Symbols load_symbols(const MemoryImage& image, const ModuleFiles& files,
                     const SymbolOptions& options) {
  const auto info = std::make_shared<const DebugInfo>(open_debug_info(image, files, options));
  return load_from(image, files, info, info->notes());
}

Symbols load_symbols(const MemoryImage& image, const ModuleFiles& files, const DebugInfo& info) {
  const std::shared_ptr<const DebugInfo> not_owned(std::shared_ptr<void>(), &info);
  return load_from(image, files, not_owned, {});
}

}  // namespace heapscan

#include <utility>
#include <vector>

#include "heapscan/base/parallel.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/symbols_builder.h"
#include "symbols/debug_files.h"
#include "symbols/struct_layouts.h"

namespace heapscan {

namespace {

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

  void load(const ElfFile* file, const SymbolOptions& options) {
    if (file != nullptr) read(*file);
    const bool complete = file != nullptr && file->section(".symtab").has_value();
    std::optional<ElfFile> debug;
    if (!complete || defines_malloc_) debug = find_debug_file(module_, file, options, notes_);
    if (debug) read(*debug);
    if (defines_malloc_) {
      for (const ElfFile* source : {debug ? std::as_const(debug).operator->() : nullptr, file}) {
        if (source == nullptr) continue;
        auto structs = read_malloc_structs(*source);
        for (auto& [name, layout] : structs) builder_.add_struct(id_, name, std::move(layout));
        if (!structs.empty()) break;
      }
    }
    builder_.sort(id_);
  }
  [[nodiscard]] Notes& notes() { return notes_; }

 private:
  void read(const ElfFile& file) {
    for (const ElfSymbol& symbol : file.dynamic_symbols()) add(symbol, Table::Dynamic);
    for (const ElfSymbol& symbol : file.symbols()) add(symbol, Table::Full);
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

}  // namespace

Symbols load_symbols(const MemoryImage& image, const ModuleFiles& files,
                     const SymbolOptions& options) {
  SymbolsBuilder builder(image);
  const size_t count = image.modules().size();
  std::vector<Notes> notes(count);
  parallel_for(count, [&](size_t i) {
    const ModuleId id(i);
    const ElfFile* const file = i < files.size() && files[id] ? &*files[id] : nullptr;
    ModuleLoader loader(id, image.modules()[id], builder);
    loader.load(file, options);
    notes[i] = std::move(loader.notes());
  });
  for (Notes& list : notes) {
    for (Note& note : list) builder.add_note(std::move(note));
  }
  return builder.freeze();
}

}  // namespace heapscan

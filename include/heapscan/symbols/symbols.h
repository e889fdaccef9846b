// Names for addresses and addresses for names, per module.
//
// Made by load_symbols() (by hand, in tests: SymbolsBuilder) from each module's .dynsym, its
// .symtab, and a separate debug file where one matches (build-id under the debug directories,
// debuglink, debuginfod), or else the compressed table that the module carries itself
// (.gnu_debugdata). Immutable afterwards. A name may be defined in several modules.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"

namespace heapscan {

class DebugInfo;

struct SymbolOptions {
  std::vector<std::string> debug_dirs = {"/usr/lib/debug"};
  // Whether to ask the servers that the environment variable DEBUGINFOD_URLS names, when it does.
  bool debuginfod = true;
};

struct SymbolHit {
  std::string name;  // as in the file, not demangled
  uint64_t offset = 0;
  ModuleId module;
};

// The same, as long as the Symbols it came from are there.
struct SymbolRef {
  std::string_view name;
  uint64_t offset = 0;
  uint64_t size = 0;  // of the symbol; 0 when unknown
  ModuleId module;
};

// Byte offsets of a C struct's members, read from DWARF.
struct StructLayout {
  uint64_t size = 0;
  std::map<std::string, uint64_t, std::less<>> members;
};
using StructLayouts = std::map<std::string, StructLayout, std::less<>>;

class Symbols {
 public:
  Symbols() = default;
  // The run-time address of a function or object `name` defines in `module` (local symbols too).
  [[nodiscard]] std::optional<Addr> address_of(ModuleId module, std::string_view name) const;
  // Offset of thread-local `name` within the module's TLS block.
  [[nodiscard]] std::optional<uint64_t> tls_offset_of(ModuleId module, std::string_view name) const;
  // Whether the module's dynamic table defines `name`, so that it can serve others.
  [[nodiscard]] bool exports(ModuleId module, std::string_view name) const;
  // The nearest symbol at or below `address` whose size covers it (or that has no size and is the
  // nearest).
  [[nodiscard]] std::optional<SymbolHit> at(Addr address) const;
  // The same without a copy of the name; allocates nothing.
  [[nodiscard]] std::optional<SymbolRef> ref_at(Addr address) const;
  // From DWARF of the module or its debug file; nothing when there is none. The first question for a
  // module reads it, which takes tens of milliseconds: ask when nothing else tells.
  [[nodiscard]] std::optional<StructLayout> struct_layout(ModuleId module,
                                                          std::string_view name) const;
  [[nodiscard]] const Notes& notes() const { return notes_; }

 private:
  friend class SymbolsBuilder;
  struct Entry {
    Addr address;  // of a TLS symbol: the offset
    uint64_t size = 0;
    uint32_t name = 0;  // into names
    uint32_t name_length : 20 = 0;
    uint32_t rank : 4 = 0;  // of several with one name or one place, the lowest is meant
    uint32_t tls : 1 = 0;
    uint32_t exported : 1 = 0;
  };
  struct LazyStructs;
  struct ModuleSymbols {
    std::string names;
    std::vector<Entry> entries;            // sorted by address, those of TLS after all others
    size_t places = 0;                     // entries that are not TLS
    std::vector<uint64_t> by_name;         // hash << 32 | entry; sorted
    std::shared_ptr<LazyStructs> structs;  // null: none
  };
  struct Place {
    AddrRange range;  // a segment
    ModuleId module;
  };
  [[nodiscard]] static std::string_view name_of(const ModuleSymbols& module, const Entry& entry);
  [[nodiscard]] const Entry* find(ModuleId module, std::string_view name, bool tls) const;
  Column<ModuleId, ModuleSymbols> modules_;
  std::vector<Place> places_;  // sorted
  Notes notes_;
};

// Struct layouts are there for the C library's own structs (malloc_state, malloc_par,
// tcache_perthread_struct, …) where DWARF is. They are read when asked for, so `files`, and the debug
// files that `info` has found, must outlive the result.
[[nodiscard]] Symbols load_symbols(const MemoryImage& image, const ModuleFiles& files,
                                   const SymbolOptions& options = {});
// The same with the debug files that `info` has found; the notes on them are left to it.
[[nodiscard]] Symbols load_symbols(const MemoryImage& image, const ModuleFiles& files,
                                   const DebugInfo& info);
Symbols load_symbols(const MemoryImage& image, const ModuleFiles& files, DebugInfo&&) = delete;

// ---- names of C++ and Rust as people write them -------------------------------------------------

// "ns::Parser::parse(int)" for "_ZN2ns6Parser5parseEi" (Itanium C++ ABI), "std::io::stdio::STDOUT"
// for "_RNvNtNtCsjrHSEGnQ3l9_3std2io5stdio6STDOUT" (Rust, without hashes). What is no such name, is
// longer than 1024 bytes, refers back to parts of itself more than 32 times, or would become longer
// than 64 KiB is returned as it is.
[[nodiscard]] std::string demangled(std::string_view name);

// The same of a symbol, without the C++ library's ABI tag, cut to 1024 bytes.
[[nodiscard]] std::string name_of_symbol(std::string_view symbol);

// ---- how symbols are made -----------------------------------------------------------------------

// Makes Symbols: load_symbols() from files, tests by hand.
//
//   SymbolsBuilder builder(image);
//   builder.add(libc, {.name = "main_arena", .address = Addr(0x7f00001e0c60), .size = 2200});
//   const Symbols symbols = builder.freeze();

struct SymbolRow {
  std::string_view name;
  Addr address;  // at run time; of a TLS symbol: the offset within its module's block
  uint64_t size = 0;
  bool tls = false;
  bool exported = false;  // by the dynamic table
  uint8_t rank = 0;       // of several with one name or one place, the lowest is meant
};

class SymbolsBuilder {
 public:
  // One empty table per module of the image.
  explicit SymbolsBuilder(const MemoryImage& image);

  // The name is copied. Safe to call for different modules at the same time.
  void add(ModuleId module, const SymbolRow& row);
  // `read` is called once, when the first layout of the module is asked for.
  void set_struct_reader(ModuleId module, std::function<StructLayouts()> read);
  void add_note(Note note) { symbols_.notes_.push_back(std::move(note)); }

  // Sorts one module's table; freeze() does it for those not yet sorted.
  void sort(ModuleId module);
  [[nodiscard]] Symbols freeze();

 private:
  Symbols symbols_;
  Column<ModuleId, uint8_t> sorted_;
};

}  // namespace heapscan

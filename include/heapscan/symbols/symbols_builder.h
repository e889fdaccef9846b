// Makes Symbols: load_symbols() from files, tests by hand.
//
//   SymbolsBuilder builder(image);
//   builder.add(libc, {.name = "main_arena", .address = Addr(0x7f00001e0c60), .size = 2200});
//   const Symbols symbols = builder.freeze();
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "heapscan/symbols/symbols.h"

namespace heapscan {

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
  void add_struct(ModuleId module, std::string name, StructLayout layout);
  void add_note(Note note) { symbols_.notes_.push_back(std::move(note)); }

  // Sorts one module's table; freeze() does it for those not yet sorted.
  void sort(ModuleId module);
  [[nodiscard]] Symbols freeze();

 private:
  Symbols symbols_;
  Column<ModuleId, uint8_t> sorted_;
};

}  // namespace heapscan

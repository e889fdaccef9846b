#include "heapscan/image/imports.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <optional>

namespace heapscan {

namespace {

constexpr uint64_t kMostEntries = uint64_t{1} << 20;  // of one of a module's tables

struct DynamicTables {
  uint64_t symbols = 0;
  uint64_t names = 0;
  std::array<AddrRange, 2> relocations;  // DT_JMPREL, DT_RELA
};

DynamicTables tables_of(const MemoryImage& image, const Module& module) {
  DynamicTables tables;
  std::array<uint64_t, 2> begins{};
  std::array<uint64_t, 2> sizes{};
  const auto place = [&](uint64_t value) {
    return value < module.range.begin().value ? value + module.bias : value;
  };
  for (Addr at = module.dynamic.begin(); at + sizeof(Elf64_Dyn) <= module.dynamic.end();
       at = at + sizeof(Elf64_Dyn)) {
    const auto entry = image.read<Elf64_Dyn>(at);
    if (!entry || entry->d_tag == DT_NULL) break;
    switch (entry->d_tag) {
      case DT_SYMTAB:
        tables.symbols = place(entry->d_un.d_ptr);
        break;
      case DT_STRTAB:
        tables.names = place(entry->d_un.d_ptr);
        break;
      case DT_JMPREL:
        begins[0] = place(entry->d_un.d_ptr);
        break;
      case DT_PLTRELSZ:
        sizes[0] = entry->d_un.d_val;
        break;
      case DT_RELA:
        begins[1] = place(entry->d_un.d_ptr);
        break;
      case DT_RELASZ:
        sizes[1] = entry->d_un.d_val;
        break;
      default:
        break;
    }
  }
  for (size_t i = 0; i < begins.size(); ++i) {
    tables.relocations[i] =
        AddrRange::sized(Addr(begins[i]), std::min(sizes[i], kMostEntries * sizeof(Elf64_Rela)));
  }
  return tables;
}

// The name that the entry is bound by; nothing when it is bound to the module itself, or to nobody.
std::optional<std::string> imported_name(const MemoryImage& image, const DynamicTables& tables,
                                         const Elf64_Rela& entry, size_t longest) {
  const auto type = ELF64_R_TYPE(entry.r_info);
  if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) return std::nullopt;
  const auto symbol =
      image.read<Elf64_Sym>(Addr(tables.symbols) + ELF64_R_SYM(entry.r_info) * sizeof(Elf64_Sym));
  if (!symbol || symbol->st_shndx != SHN_UNDEF) return std::nullopt;
  return image.read_string(Addr(tables.names) + symbol->st_name, longest);
}

}  // namespace

void for_each_import(const MemoryImage& image, const Module& module, size_t longest_name,
                     const std::function<void(Addr slot, const std::string& name)>& f) {
  const DynamicTables tables = tables_of(image, module);
  if (tables.symbols == 0 || tables.names == 0) return;
  for (const AddrRange& table : tables.relocations) {
    for (Addr at = table.begin(); at + sizeof(Elf64_Rela) <= table.end();
         at = at + sizeof(Elf64_Rela)) {
      const auto entry = image.read<Elf64_Rela>(at);
      if (!entry) break;
      if (const auto name = imported_name(image, tables, *entry, longest_name))
        f(Addr(entry->r_offset + module.bias), *name);
    }
  }
}

}  // namespace heapscan
